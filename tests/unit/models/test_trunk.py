"""A timm trunk as LLaVA's vision tower: one pass feeds the language model and the segmenter."""

from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import load_file

from lisa.models import LisaModel, TrunkConfig, TrunkModel
from lisa.models.backbone import vision_tower_states
from lisa.types import Conversation
from tests.tiny import SEG_ID, emit, picture
from tests.tiny_nano import ARCHITECTURE, MAPS, encode, nano_model, nano_processor

END = 1


def prompt(processor, question: str) -> torch.Tensor:
    asked = Conversation().ask(question, image_index=0)
    return torch.tensor([processor.encode_conversation(asked)])


def test_states_are_timms_maps_row_by_row() -> None:
    torch.manual_seed(0)
    tower = TrunkModel(TrunkConfig(architecture=ARCHITECTURE, image_size=64)).eval()
    pixels = torch.randn(2, 3, 64, 64)
    output = tower(pixels)
    maps = tower.trunk(pixels)
    assert [tuple(one.shape[1:]) for one in output.hidden_states] == [
        (side * side, channels) for side, channels in zip((32, 16, 8, 4, 2), MAPS, strict=True)
    ]
    torch.testing.assert_close(output.hidden_states[2][1, 8 * 3 + 5], maps[2][1, :, 3, 5])
    for states, one in zip(output.hidden_states, maps, strict=True):
        torch.testing.assert_close(states, one.flatten(2).transpose(1, 2))
        # Convolutions that see channels last are faster and leave them so.
        assert states.is_contiguous()
    tower.memory_format = torch.contiguous_format
    for states, one in zip(tower(pixels).hidden_states, maps, strict=True):
        assert torch.equal(states, one.flatten(2).transpose(1, 2))
        assert not states.is_contiguous()
    assert output.last_hidden_state is output.hidden_states[-1]


def test_building_keeps_timms_initialisation() -> None:
    torch.manual_seed(3)
    tower = TrunkModel(TrunkConfig(architecture=ARCHITECTURE))
    torch.manual_seed(3)
    plain = timm.create_model(ARCHITECTURE, features_only=True, out_indices=(0, 1, 2, 3, 4))
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tower.trunk.state_dict()[name], tensor), name


def test_one_pass_of_the_tower_feeds_both() -> None:
    model, processor = nano_model(), nano_processor()
    tower = model.backbone.model.vision_tower
    calls: list[int] = []
    tower.register_forward_hook(lambda module, args, output: calls.append(len(args[0])))
    images = encode(model, processor, [picture(40, 64), picture(64, 30, 1)])
    assert calls == [2]
    assert [image.image_tokens.shape for image in images] == [(4, 32)] * 2
    emit(model, [[40, SEG_ID, END]])
    output = model.generate(prompt(processor, "Where?"), images=images[:1], max_new_tokens=3)
    assert output.mask_logits[0].shape == (1, 40, 64)
    assert calls == [2]


def test_batched_pictures_give_what_single_ones_give() -> None:
    model, processor = nano_model(), nano_processor()
    pictures = [picture(40, 64), picture(64, 30, 1)]
    together = encode(model, processor, pictures)
    for one, image in zip(pictures, together, strict=True):
        alone = encode(model, processor, [one])[0]
        torch.testing.assert_close(alone.image_tokens, image.image_tokens, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(
            alone.segmenter_features.embedding,
            image.segmenter_features.embedding,
            atol=1e-4,
            rtol=1e-4,
        )


def test_teacher_forcing_equals_generation() -> None:
    model, processor = nano_model(), nano_processor()
    images = encode(model, processor, [picture(40, 64)])
    ids, answer = prompt(processor, "Where?"), [40, SEG_ID, 41, END]
    forced = model(torch.cat([ids, torch.tensor([answer])], dim=1), images=images)
    emit(model, [answer])
    output = model.generate(ids, images=images, max_new_tokens=4)
    torch.testing.assert_close(output.seg_states, forced.seg_states, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(output.mask_logits[0], forced.mask_logits[0], atol=1e-4, rtol=1e-4)


def test_kept_vision_states_give_the_same_with_gradient() -> None:
    """What training keeps of a picture: the trunk's maps, everything behind them anew each step."""
    model, processor = nano_model(), nano_processor()
    inputs = processor.encode_images([picture(40, 64)])
    encoded = encode(model, processor, [picture(40, 64)])[0]
    with torch.no_grad():
        states = vision_tower_states(model.backbone, inputs.pixel_values)
    kept = type(encoded)(encoded.original_size, encoded.resized_size, vision_states=states)
    ids = torch.cat([prompt(processor, "Where?"), torch.tensor([[40, SEG_ID]])], dim=1)
    expected = model(ids, images=[encoded])
    output = model(ids, images=[kept])
    torch.testing.assert_close(output.mask_logits[0], expected.mask_logits[0])
    output.mask_logits[0].sum().backward()
    assert model.segmenter.neck.lateral[0].weight.grad is not None
    assert model.backbone.model.multi_modal_projector.linear_1.weight.grad is not None


def test_save_load_save_is_identical(tmp_path) -> None:
    model, processor = nano_model(), nano_processor()
    model.save_pretrained(tmp_path / "a")
    loaded = LisaModel.from_pretrained(tmp_path / "a").eval()
    loaded.save_pretrained(tmp_path / "b")
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    stored = load_file(tmp_path / "a" / "model.safetensors")
    assert any("vision_tower.trunk" in name and "running_mean" in name for name in stored)
    ids = torch.cat([prompt(processor, "Where?"), torch.tensor([[40, SEG_ID]])], dim=1)
    before, after = (
        one(ids, images=encode(one, processor, [picture(40, 64)])) for one in (model, loaded)
    )
    assert torch.equal(before.logits, after.logits)
    torch.testing.assert_close(before.mask_logits[0], after.mask_logits[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_a_trunk_stays_in_float32_through_loading_and_saving(half, tmp_path) -> None:
    model = nano_model()
    model.save_pretrained(tmp_path / "full")
    loaded = LisaModel.from_pretrained(tmp_path / "full", dtype=half)
    assert (loaded.dtype, loaded.segmenter_dtype) == (half, half)
    loaded.save_pretrained(tmp_path / "half")
    again = LisaModel.from_pretrained(tmp_path / "half")
    assert (again.dtype, again.segmenter_dtype) == (half, half)
    exact = model.backbone.model.vision_tower.state_dict()
    for one in (loaded, again):
        kept = one.backbone.model.vision_tower.state_dict()
        assert all(torch.equal(exact[name], kept[name]) for name in exact)
    encode(again, nano_processor(), [picture(40, 64)])
