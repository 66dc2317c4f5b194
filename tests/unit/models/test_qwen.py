"""Backbones that count positions in three dimensions; transformers' own forward is the oracle."""

from __future__ import annotations

import copy

import pytest
import torch

from lisa.errors import ConfigError, ImageError, PromptError
from lisa.models import LisaModel, backbone, lisa_loss
from lisa.models.trainable import TRAINABLE, trainable_plan
from lisa.processor import LisaProcessor
from lisa.types import Conversation, ImageSize
from tests.tiny import emit, picture
from tests.tiny_base import QWENS, tiny_lisa

SIZES = [(90, 60), (60, 170), (230, 100)]
QUESTIONS = ["Where?", "Which of all these things would I take for a walk?", "And this one?"]


@pytest.fixture(scope="module", params=sorted(QWENS))
def lisa(request, tmp_path_factory) -> tuple[LisaModel, LisaProcessor]:
    return tiny_lisa(tmp_path_factory.mktemp(request.param), request.param)


def pictures():
    return [picture(*size, seed=i) for i, size in enumerate(SIZES)]


def encoded(lisa, shown=None):
    model, processor = lisa
    inputs = processor.encode_images(pictures() if shown is None else shown)
    with torch.no_grad():
        return model.encode_images(
            inputs.pixel_values,
            inputs.sam_pixel_values,
            original_sizes=inputs.original_sizes,
            resized_sizes=inputs.resized_sizes,
            backbone_inputs=inputs.backbone_inputs,
        )


def rows_of(processor) -> list[list[int]]:
    return [
        processor.encode_conversation(Conversation().ask(q, image_index=0), size=ImageSize(*size))
        for q, size in zip(QUESTIONS, SIZES, strict=True)
    ]


def own_inputs(lisa, ids, mask):
    """What transformers' own model takes: pixels, grids, and which tokens are a picture's."""
    model, processor = lisa
    inputs = processor.encode_images(pictures()[: len(ids)])
    return {
        "input_ids": ids,
        "attention_mask": mask.long(),
        "pixel_values": inputs.pixel_values,
        "image_grid_thw": inputs.backbone_inputs["image_grid_thw"],
        "mm_token_type_ids": (ids == model.config.image_token_id).int(),
    }


@pytest.mark.parametrize("side", ["left", "right"])
def test_logits_are_those_of_the_model_alone(lisa, side: str) -> None:
    """Pictures of different sizes in one padded batch: positions and deep features included."""
    model, processor = lisa
    rows = rows_of(processor)
    ids, mask = processor.pad(rows)
    if side == "right":
        width = max(map(len, rows))
        ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
        mask = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows])
    with torch.no_grad():
        expected = model.backbone(**own_inputs(lisa, ids, mask)).logits
        model.backbone.base_model.rope_deltas = None
        got = model(ids, mask, images=encoded(lisa)).logits
    torch.testing.assert_close(got[mask], expected[mask], atol=1e-4, rtol=1e-4)


def test_positions_matter(lisa) -> None:
    """Counted in one dimension, or without deep features, the model would answer otherwise."""
    model, processor = lisa
    ids = torch.tensor(rows_of(processor)[:1])
    images = encoded(lisa)[:1]
    with torch.no_grad():
        got = model(ids, images=images).logits
        embedded = backbone.embed(
            model.backbone, ids, model.config.image_token_id, [images[0].image_tokens]
        )
        plain = torch.arange(ids.shape[1])[None]
        wrong = model.backbone(inputs_embeds=embedded, position_ids=plain).logits
    assert (got - wrong).abs().max() > 1e-2


def test_answers_are_those_of_the_model_alone(lisa) -> None:
    """Free greedy decoding with a cache."""
    model, processor = lisa
    ids, mask = processor.pad(rows_of(processor))
    with torch.no_grad():
        whole = model.backbone.generate(
            **own_inputs(lisa, ids, mask),
            max_new_tokens=8,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
    model.backbone.base_model.rope_deltas = None
    output = model.generate(ids, mask, encoded(lisa), max_new_tokens=8, eos_token_id=[])
    got = torch.stack(output.token_ids)
    assert got.tolist() == whole[:, ids.shape[1] :].tolist()


@pytest.mark.parametrize("rule", ["previous", "self"])
@pytest.mark.parametrize("ended", [True, False])
def test_cached_states_equal_a_teacher_forced_pass(lisa, rule: str, ended: bool) -> None:
    plain, processor = copy.deepcopy(lisa[0]), lisa[1]
    plain.config.seg_state = rule
    model = copy.deepcopy(plain)  # `emit` leaves a hook behind
    seg, end = model.config.seg_token_id, processor.tokenizer.eos_token_id
    answer = [40, seg, 41, seg, *([end] if ended else [])]
    ids, mask = processor.pad(rows_of(processor))
    images = encoded(lisa)
    emit(model, [answer] * 3)
    output = model.generate(ids, mask, images, max_new_tokens=len(answer), eos_token_id=end)
    for row, prompt in enumerate(rows_of(processor)):
        whole = torch.tensor([[*prompt, *answer]])
        with torch.no_grad():
            forced = plain(whole, images=images[row : row + 1])
        mine = output.seg_positions[:, 0] == row
        assert torch.equal(output.seg_positions[mine, 1], forced.seg_positions[:, 1])
        torch.testing.assert_close(output.seg_states[mine], forced.seg_states, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(
            output.mask_logits[row], forced.mask_logits[0], atol=1e-3, rtol=1e-3
        )


def test_a_batch_gives_what_single_pictures_give(lisa) -> None:
    model, processor = lisa
    together = encoded(lisa)
    for one, shown, size in zip(together, pictures(), SIZES, strict=True):
        alone = encoded(lisa, [shown])[0]
        torch.testing.assert_close(alone.image_tokens, one.image_tokens, atol=1e-5, rtol=1e-4)
        assert torch.equal(alone.grid, one.grid)
        assert len(alone.deep_tokens) == len(one.deep_tokens)
        for deep, other in zip(alone.deep_tokens, one.deep_tokens, strict=True):
            torch.testing.assert_close(deep, other, atol=1e-5, rtol=1e-4)
        assert len(one.image_tokens) == processor.count_image_tokens(ImageSize(*size))
    assert len({len(one.image_tokens) for one in together}) == 3


def test_rows_of_any_order_about_any_picture(lisa) -> None:
    """Two conversations about one picture, none about another; a later turn shows no new one."""
    model, processor = lisa
    first = Conversation().ask("Where?", image_index=0).answer("It is [SEG].")
    talks = [first, first.ask("And?").answer("Here [SEG], there [SEG].")]
    order = [2, 0]
    examples = [
        processor.encode_example(talk, size=ImageSize(*SIZES[i]))
        for talk, i in zip(talks, order, strict=True)
    ]
    images = encoded(lisa)
    ids, mask = processor.pad([e.input_ids for e in examples])
    targets = [torch.zeros((n, *SIZES[i])) for n, i in zip((1, 3), order, strict=True)]
    labels = ids.masked_fill(~mask, -100)
    with torch.no_grad():
        whole = model(
            ids, mask, labels, images=images, image_index=torch.tensor(order), gt_masks=targets
        )
        for row, i in enumerate(order):
            one = model(torch.tensor([examples[row].input_ids]), images=[images[i]])
            torch.testing.assert_close(
                one.logits[0], whole.logits[row, mask[row]], atol=1e-4, rtol=1e-4
            )
            torch.testing.assert_close(
                one.mask_logits[0], whole.mask_logits[row], atol=1e-3, rtol=1e-3
            )
    assert torch.isfinite(lisa_loss(whole.losses).total)


def test_packed_rows_are_refused(lisa) -> None:
    model, processor = lisa
    ids = torch.tensor(rows_of(processor)[:1])
    length = ids.shape[1]
    seen = torch.ones(1, 1, length, length, dtype=torch.bool).tril()
    images = encoded(lisa)[:1]
    for given in ({"attention_mask": seen}, {"position_ids": torch.arange(length)[None]}):
        with pytest.raises(ConfigError, match="give each conversation a row of its own"):
            model(ids, images=images, **given)


def test_other_ways_of_counting_are_refused(lisa, monkeypatch) -> None:
    monkeypatch.setattr(backbone, "_GRID_BACKBONES", ("qwen9_vl",))
    with pytest.raises(ConfigError, match="three dimensions in a way that is not supported.*qwen9"):
        LisaModel(lisa[0].config)


def test_placeholders_follow_the_picture(lisa) -> None:
    model, processor = lisa
    with pytest.raises(PromptError, match="varies with its size: give the size too"):
        processor.encode_conversation(Conversation().ask("Where?", image_index=0))
    with pytest.raises(ImageError, match="cannot look at a picture of 3 x 900 pixels"):
        processor.encode_images([picture(3, 900)])
    ids = torch.tensor(rows_of(processor)[:1])
    with pytest.raises(PromptError, match="image placeholders but its picture has"):
        model(ids, images=encoded(lisa)[1:2])


def test_encoded_pictures_move_whole(lisa) -> None:
    image = encoded(lisa)[0]
    moved = image.to("meta")
    assert moved.image_tokens.device.type == "meta"
    assert all(one.device.type == "meta" for one in moved.deep_tokens)
    assert len(moved.deep_tokens) == len(image.deep_tokens)


@pytest.mark.parametrize("name", sorted(set(TRAINABLE) - {"all"}))
def test_lora_stays_inside_the_language_model(lisa, name: str) -> None:
    plan = trainable_plan(lisa[0], name)
    parts = {"lisa": "qv", "nano": "qv"}.get(name, "qkvo")
    layer = "backbone.model.language_model.layers.{}"
    expected = {f"{layer.format(i)}.self_attn.{p}_proj" for i in (0, 1) for p in parts}
    if name == "lisa_all_linear":
        expected |= {f"{layer.format(i)}.mlp.{p}_proj" for i in (0, 1) for p in ("gate", "up")}
        expected |= {f"{layer.format(i)}.mlp.down_proj" for i in (0, 1)}
    assert set(plan.lora) == expected
    assert not [n for n in plan.full if ".visual." in n or "image_encoder" in n and name != "nano"]
