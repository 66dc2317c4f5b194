from __future__ import annotations

import pytest
import torch

from lisa.errors import ConfigError, DataError, PromptError
from lisa.models import LisaModel, LossWeights, lisa_loss
from lisa.models.seg_rule import seg_source_positions
from lisa.tokens import IGNORE_INDEX
from lisa.types import Conversation, ImageSize
from tests.tiny import IMAGE_ID, SEG_ID, VOCABULARY, picture, tiny_model, tiny_processor


def encoded(model, processor, images):
    inputs = processor.encode_images(images)
    return model.encode_images(
        inputs.pixel_values,
        inputs.sam_pixel_values,
        original_sizes=inputs.original_sizes,
        resized_sizes=inputs.resized_sizes,
    )


def conversation(question: str, answer: str) -> Conversation:
    return Conversation().ask(question, image_index=0).answer(answer)


ANSWERS = ["It is the cup [SEG].", "The cup [SEG] and the lamp [SEG].", "Nothing to see.", "[SEG]."]
SIZES = [(33, 50), (64, 20), (7, 90)]
IMAGE_INDEX = [0, 0, 1, 2]


def batch(processor, answers=ANSWERS):
    rows = [
        processor.encode_example(conversation(f"What is this, number {i}?", answer))
        for i, answer in enumerate(answers)
    ]
    width = max(len(row.input_ids) for row in rows)
    pad = processor.tokenizer.pad_token_id

    def padded(values, fill):
        return torch.tensor([v + [fill] * (width - len(v)) for v in values])

    ids = padded([r.input_ids for r in rows], pad)
    mask = padded([[True] * len(r.input_ids) for r in rows], False)
    return ids, mask, padded([r.labels for r in rows], IGNORE_INDEX)


def masks_for(ids, sizes):
    generator = torch.Generator().manual_seed(1)
    return [
        torch.rand((int((row == SEG_ID).sum()), *size), generator=generator).round()
        for row, size in zip(ids, sizes, strict=True)
    ]


@pytest.fixture(scope="module")
def setup():
    model, processor = tiny_model(), tiny_processor()
    images = encoded(model, processor, [picture(*size, seed=i) for i, size in enumerate(SIZES)])
    return model, processor, images


def test_no_one_and_many_masks_and_images_of_different_sizes(setup) -> None:
    model, processor, images = setup
    ids, mask, labels = batch(processor)
    output = model(ids, mask, labels, images=images, image_index=torch.tensor(IMAGE_INDEX))
    shapes = [tuple(m.shape) for m in output.mask_logits]
    sizes = [SIZES[i] for i in IMAGE_INDEX]
    assert shapes == [(n, *size) for n, size in zip([1, 2, 0, 1], sizes, strict=True)]
    assert all(m.dtype == torch.float32 for m in output.mask_logits)
    assert output.logits.shape == (*ids.shape, VOCABULARY)
    assert [i.segmenter_features is not None for i in output.images] == [True, False, True]


def test_a_batch_gives_what_single_conversations_give(setup) -> None:
    model, processor, images = setup
    ids, mask, labels = batch(processor)
    targets = masks_for(ids, [SIZES[i] for i in IMAGE_INDEX])
    index = torch.tensor(IMAGE_INDEX)
    whole = model(ids, mask, labels, images=images, image_index=index, gt_masks=targets)
    sums = None
    for row, image in enumerate(IMAGE_INDEX):
        keep = mask[row]
        one = model(
            ids[row : row + 1, keep],
            labels=labels[row : row + 1, keep],
            images=[images[image]],
            gt_masks=[targets[row]],
        )
        torch.testing.assert_close(one.mask_logits[0], whole.mask_logits[row], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(one.logits[0], whole.logits[row, keep], atol=1e-4, rtol=1e-4)
        sums = one.losses if sums is None else sums + one.losses
    torch.testing.assert_close(lisa_loss(sums).total, lisa_loss(whole.losses).total)
    assert int(sums.mask_count) == 4


def test_packed_conversations_equal_separate_ones(setup) -> None:
    """Two answers share one prefix in a row; a 4-D mask keeps them apart."""
    model, processor, images = setup
    rows = [processor.encode_example(conversation("Where?", a)).input_ids for a in ANSWERS[:2]]
    shared = next(i for i, (a, b) in enumerate(zip(*rows, strict=False)) if a != b)
    packed = rows[0] + rows[1][shared:]
    first = len(rows[0])
    total = len(packed)
    visible = torch.ones(total, total, dtype=torch.bool).tril()
    visible[first:, shared:first] = False
    positions = torch.tensor([[*range(first), *range(shared, len(rows[1]))]])
    output = model(
        torch.tensor([packed]),
        visible[None, None],
        images=images[:1],
        position_ids=positions,
    )
    alone = [model(torch.tensor([row]), images=images[:1]).mask_logits[0] for row in rows]
    torch.testing.assert_close(output.mask_logits[0], torch.cat(alone), atol=1e-4, rtol=1e-4)


def test_supervised_logits_only_gives_the_same_loss(setup) -> None:
    model, processor, images = setup
    ids, mask, labels = batch(processor)
    arguments = {"images": images, "image_index": torch.tensor(IMAGE_INDEX)}
    full = model(ids, mask, labels, **arguments)
    few = model(ids, mask, labels, supervised_logits_only=True, **arguments)
    assert few.logits.shape[1] < full.logits.shape[1]
    torch.testing.assert_close(few.losses.text_loss_sum, full.losses.text_loss_sum)
    torch.testing.assert_close(few.logits, full.logits[:, few.logit_positions])


@pytest.mark.parametrize("patches", [16, 24])
def test_any_number_of_image_tokens(patches: int) -> None:
    """256 and 576 patches: no number is counted anywhere."""
    model = tiny_model(patches_a_side=patches)
    processor = tiny_processor(patches_a_side=patches)
    images = encoded(model, processor, [picture(40, 30)])
    assert len(images[0].image_tokens) == patches**2
    ids = torch.tensor([processor.encode_example(conversation("Where?", "[SEG].")).input_ids])
    output = model(ids, images=images)
    place = int((ids[0] == SEG_ID).nonzero())
    assert output.seg_positions.tolist() == [[0, place - 1]]
    assert output.mask_logits[0].shape == (1, 40, 30)


@pytest.mark.parametrize(("rule", "expected"), [("previous", [1, 4]), ("self", [0, 2, 5])])
def test_seg_rule(rule: str, expected: list[int]) -> None:
    ids = torch.tensor([[9, 8, 9, 7, 7, 9]])
    assert seg_source_positions(ids, 9, rule)[:, 1].tolist() == expected


def test_the_rule_decides_the_state() -> None:
    processor = tiny_processor()
    models = [tiny_model(seg_state=rule) for rule in ("previous", "self")]
    ids = torch.tensor([processor.encode_example(conversation("Where?", "A [SEG].")).input_ids])
    outputs = [m(ids, images=encoded(m, processor, [picture(9, 9)])) for m in models]
    assert (outputs[1].seg_positions - outputs[0].seg_positions).tolist() == [[0, 1]]
    assert not torch.allclose(outputs[0].seg_states, outputs[1].seg_states)


def test_losses_follow_the_formulas() -> None:
    from lisa.models.losses import mask_bce, mask_dice, text_loss_sum

    logits, target = torch.tensor([[2.0, -1.0], [0.5, 0.0]]), torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    p = logits.sigmoid()
    bce = -(target * p.log() + (1 - target) * (1 - p).log()).mean()
    torch.testing.assert_close(mask_bce(logits, target), bce)
    dice = 1 - (2 * (p * target).sum() / 1000 + 1e-6) / ((p.sum() + target.sum()) / 1000 + 1e-6)
    torch.testing.assert_close(mask_dice(logits, target), dice)
    total, count = text_loss_sum(torch.zeros(3, 5), torch.tensor([1, IGNORE_INDEX, 2]))
    assert count == 2
    torch.testing.assert_close(total, 2 * torch.tensor(5.0).log())


def test_gradients_reach_the_parts_that_learn(setup) -> None:
    model, processor, images = setup
    ids, mask, labels = batch(processor)
    output = model(
        ids,
        mask,
        labels,
        images=images,
        image_index=torch.tensor(IMAGE_INDEX),
        gt_masks=masks_for(ids, [SIZES[i] for i in IMAGE_INDEX]),
    )
    lisa_loss(output.losses, LossWeights(auxiliary=1.0)).total.backward()
    for name in ("mask_projection.0", "segmenter.mask_decoder.mask_tokens", "backbone.lm_head"):
        assert model.get_submodule(name).weight.grad.abs().sum() > 0, name
    model.zero_grad()


def test_wrong_inputs_get_a_sentence(setup) -> None:
    model, processor, images = setup
    ids, mask, labels = batch(processor)
    index = torch.tensor(IMAGE_INDEX)
    with pytest.raises(DataError, match=r"Conversation 0 has 1 \[SEG\] and 0 masks"):
        model(ids, mask, images=images, image_index=index, gt_masks=[torch.zeros(0, 1, 1)] * 4)
    sizes = [SIZES[i] for i in IMAGE_INDEX]
    wrong = [m[:, :5] for m in masks_for(ids, sizes)]
    with pytest.raises(DataError, match="give masks at the size of the picture"):
        model(ids, mask, images=images, image_index=index, gt_masks=wrong)
    with pytest.raises(PromptError, match="3 image placeholders but its picture has 4 image"):
        model(torch.tensor([[0, IMAGE_ID, IMAGE_ID, IMAGE_ID]]), images=images[:1])
    with pytest.raises(ConfigError, match="4 conversations about 3 pictures"):
        model(ids, mask, images=images)
    with pytest.raises(ConfigError, match="got no picture"):
        model(ids, mask)


def test_vision_states_are_projected_with_gradient() -> None:
    """Cached hidden states of a tower: tokens as from pixels, and a gradient for the projector.

    The segmenter is a stand-in that reads the tower: it proves the path, not the picture.
    """
    from lisa.models import EncodedImage
    from lisa.models.backbone import vision_tower_states
    from lisa.models.segmenters import SegmenterFeatures

    model, processor = tiny_model(), tiny_processor()
    width = model.segmenter.prompt_dim
    readout = torch.nn.Linear(16, width * 16)

    def encode(states):
        assert isinstance(states, tuple)
        return SegmenterFeatures(readout(states[-1].mean(dim=1)).view(-1, width, 4, 4))

    model.segmenter.source = "vision_tower"
    model.segmenter.encode = encode
    inputs = processor.encode_images([picture(30, 20), picture(20, 30, seed=1)])
    direct = model.encode_images(
        inputs.pixel_values,
        original_sizes=inputs.original_sizes,
        resized_sizes=inputs.resized_sizes,
    )
    states = vision_tower_states(model.backbone, inputs.pixel_values)
    cached = [
        EncodedImage(
            ImageSize(*original),
            resized,
            vision_states=tuple(s[i : i + 1].detach() for s in states),
        )
        for i, (original, resized) in enumerate(
            zip(inputs.original_sizes, inputs.resized_sizes, strict=True)
        )
    ]
    ids, mask, labels = batch(processor, ANSWERS[:2])
    first = model(ids, mask, labels, images=direct)
    second = model(ids, mask, labels, images=cached)
    torch.testing.assert_close(first.mask_logits[1], second.mask_logits[1])
    projector = model.backbone.base_model.multi_modal_projector
    second.losses.text_loss_sum.backward(retain_graph=True)
    assert projector.linear_1.weight.grad.abs().sum() > 0
    second.mask_logits[0].sum().backward()
    assert readout.weight.grad.abs().sum() > 0


def test_other_backbones_pass_through() -> None:
    """Idefics3 (SmolVLM's architecture): configuration, not code."""
    from transformers import Idefics3Config

    from tests.tiny import tiny_config

    torch.manual_seed(0)
    backbone = Idefics3Config(
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 7,
        },
        text_config={
            "model_type": "llama",
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "vocab_size": VOCABULARY,
            "pad_token_id": 2,
            "eos_token_id": 1,
        },
        scale_factor=2,
        image_token_id=VOCABULARY - 3,
    )
    config = tiny_config()
    config.backbone_config = backbone
    model = LisaModel(config).eval()
    images = model.encode_images(
        torch.rand(2, 1, 3, 28, 28),
        torch.rand(2, 3, 64, 64),
        original_sizes=[ImageSize(20, 30)] * 2,
        resized_sizes=[ImageSize(43, 64)] * 2,
    )
    count = len(images[0].image_tokens)
    assert count == 4
    ids = torch.tensor([[0, *[IMAGE_ID] * count, 40, SEG_ID, 41]] * 2)
    output = model(ids, images=images)
    assert [m.shape for m in output.mask_logits] == [(1, 20, 30)] * 2
    assert not torch.equal(output.mask_logits[0], output.mask_logits[1])
    answers = model.generate(ids[:, :-2], images=images, max_new_tokens=3)
    assert len(answers.token_ids) == 2
