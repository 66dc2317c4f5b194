"""A packed row gives what its conversations give one by one."""

from __future__ import annotations

import pytest
import torch

from lisa.models.losses import LossSums
from lisa.prompts import SupervisedIds
from lisa.tokens import IGNORE_INDEX, SEG_TOKEN
from lisa.types import Conversation
from tests import tiny, tiny_nano
from training.collate import pack

TALK = (
    ("Where is the cow?", f"The cow {SEG_TOKEN}."),
    ("What holds tea, and what holds soup?", f"Cup {SEG_TOKEN}, bowl {SEG_TOKEN}."),
    ("How many?", "Two."),
)
TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}


def examples(processor, talk=TALK) -> list[SupervisedIds]:
    return [
        processor.encode_example(Conversation().ask(question, image_index=0).answer(answer))
        for question, answer in talk
    ]


def prepared(kind: str):
    """A model, its processor and an encoded picture of 40 x 64 pixels."""
    if kind == "nano":
        model, processor = tiny_nano.nano_model(), tiny_nano.nano_processor()
        return model, processor, tiny_nano.encode(model, processor, [tiny.picture(40, 64)])[0]
    model, processor = tiny.tiny_model(), tiny.tiny_processor()
    inputs = processor.encode_images([tiny.picture(40, 64)])
    with torch.no_grad():
        images = model.encode_images(
            inputs.pixel_values,
            inputs.sam_pixel_values,
            original_sizes=inputs.original_sizes,
            resized_sizes=inputs.resized_sizes,
        )
    return model, processor, images[0]


def masks(talk=TALK) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [(torch.rand(answer.count(SEG_TOKEN), 40, 64) > 0.5).float() for _, answer in talk]


@pytest.mark.parametrize("kind", ["nano", "llava"])
@pytest.mark.parametrize("supervised_only", [False, True])
@torch.no_grad()
def test_a_row_equals_its_conversations(kind: str, supervised_only: bool) -> None:
    model, processor, image = prepared(kind)
    singles, targets = examples(processor), masks()
    row = pack(singles)
    packed = model(
        row.input_ids,
        row.attention_mask,
        row.labels,
        images=[image],
        gt_masks=[torch.cat(targets)],
        position_ids=row.position_ids,
        supervised_logits_only=supervised_only,
    )
    alone = [
        model(
            torch.tensor([one.input_ids]),
            labels=torch.tensor([one.labels]),
            images=[image],
            gt_masks=[target],
        )
        for one, target in zip(singles, targets, strict=True)
    ]
    torch.testing.assert_close(
        packed.seg_states, torch.cat([one.seg_states for one in alone]), **TOLERANCE
    )
    torch.testing.assert_close(
        packed.mask_logits[0], torch.cat([one.mask_logits[0] for one in alone]), **TOLERANCE
    )
    sums = alone[0].losses
    for one in alone[1:]:
        sums += one.losses
    for name in LossSums.__dataclass_fields__:
        torch.testing.assert_close(getattr(packed.losses, name), getattr(sums, name), **TOLERANCE)
    supervised = torch.cat(
        [
            one.logits[0, :-1][torch.tensor(single.labels[1:]) != IGNORE_INDEX]
            for one, single in zip(alone, singles, strict=True)
        ]
    )
    found = packed.logits[0]
    if not supervised_only:
        found = found[:-1][row.labels[0, 1:] != IGNORE_INDEX]
    torch.testing.assert_close(found, supervised, **TOLERANCE)


def test_the_picture_stands_in_the_row_once() -> None:
    processor = tiny_nano.nano_processor()
    singles = examples(processor)
    row = pack(singles)
    image_tokens = processor.settings.image_tokens
    assert int((row.input_ids == tiny.IMAGE_ID).sum()) == image_tokens
    assert row.input_ids.shape[1] < sum(len(one.input_ids) for one in singles)
    kept = row.labels[row.labels != IGNORE_INDEX].tolist()
    assert kept == [label for one in singles for label in one.labels if label != IGNORE_INDEX]


def test_conversations_see_the_shared_beginning_and_themselves() -> None:
    row = pack(
        [
            SupervisedIds([7, 8, 1, 2], [IGNORE_INDEX, IGNORE_INDEX, 1, 2]),
            SupervisedIds([7, 8, 3], [IGNORE_INDEX, IGNORE_INDEX, 3]),
        ]
    )
    assert row.input_ids.tolist() == [[7, 8, 1, 2, 3]]
    assert row.position_ids.tolist() == [[0, 1, 2, 3, 2]]
    assert row.labels.tolist() == [[IGNORE_INDEX, IGNORE_INDEX, 1, 2, 3]]
    assert row.attention_mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 0, 1],
    ]


def test_one_conversation_and_equal_ones() -> None:
    one = SupervisedIds([7, 8, 1], [IGNORE_INDEX, IGNORE_INDEX, 1])
    assert pack([one]).input_ids.tolist() == [[7, 8, 1]]
    assert pack([one, one]).input_ids.tolist() == [[7, 8, 1, 1]]
    assert pack([one, one]).labels.tolist() == [[IGNORE_INDEX, IGNORE_INDEX, 1, 1]]
