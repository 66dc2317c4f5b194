from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lisa.data.mask_sources import BoxMask, NoMask
from lisa.data.records import Dialogue
from lisa.errors import DataError, ImageError
from lisa.processor import LisaProcessor
from lisa.tokens import IGNORE_INDEX
from lisa.types import Conversation, ImageSize
from tests.tiny import IMAGE_ID, SEG_ID, tiny_processor
from tests.unit.odd_files import file_bytes, photo
from training.examples import Example, collate, encode_sample
from training.samples import Sample

SIZE = ImageSize(40, 60)
PICTURE = file_bytes(photo(60, 40), "PNG")
LEFT = BoxMask((0, 0, 30, 40), SIZE)
LONG = 5000


@pytest.fixture(scope="module")
def processor() -> LisaProcessor:
    return tiny_processor(context=LONG)


def talk(*turns: tuple[str, str]) -> Conversation:
    conversation = Conversation()
    for number, (question, answer) in enumerate(turns):
        conversation = conversation.ask(question, 0 if number == 0 else None).answer(answer)
    return conversation


def sample(*dialogues: Dialogue, image: bytes | Path = PICTURE) -> Sample:
    return Sample("the record", image, dialogues)


def encode(processor: LisaProcessor, *dialogues: Dialogue, most: int = LONG) -> Example:
    return encode_sample(sample(*dialogues), processor, most)


def supervised(processor: LisaProcessor, row) -> str:
    return processor.tokenizer.decode([idx for idx in row.labels if idx != IGNORE_INDEX])


def test_answers_alone_are_learnt(processor: LisaProcessor) -> None:
    turns = talk(("What is left?", "It is this [SEG]."), ("And right?", "Nothing."))
    example = encode(processor, Dialogue(turns, (LEFT,)))
    (row,) = example.rows
    assert supervised(processor, row) == " It is this [SEG].</s> Nothing.</s>"
    assert row.input_ids.count(IMAGE_ID) == processor.settings.image_tokens
    assert row.input_ids.count(SEG_ID) == 1
    assert all(
        label in (idx, IGNORE_INDEX) for idx, label in zip(row.input_ids, row.labels, strict=True)
    )
    assert np.array_equal(example.masks[0].numpy(), LEFT.read()[None])


def test_control_tokens_of_the_data_are_words(processor: LisaProcessor) -> None:
    """A question cannot ask for a mask by writing one, and no answer can end early."""
    turns = talk(("Is [SEG] or </s> or <image> a word?", "Yes </s> it <image> is [SEG]."))
    (row,) = encode(processor, Dialogue(turns, (LEFT,))).rows
    assert row.input_ids.count(SEG_ID) == 1
    assert row.input_ids.count(processor.tokenizer.eos_token_id) == 1
    assert row.input_ids.count(IMAGE_ID) == processor.settings.image_tokens


def test_a_long_dialogue_loses_its_last_turns(processor: LisaProcessor) -> None:
    turns = [(f"Question {n}?", f"Answer {n} [SEG].") for n in range(4)]
    whole = encode(processor, Dialogue(talk(*turns), (LEFT,) * 4))
    most = len(whole.rows[0].input_ids) - 1
    shorter = encode(processor, Dialogue(talk(*turns), (LEFT,) * 4), most=most)
    assert whole.shortened == 0
    assert shorter.shortened == 1
    assert len(shorter.masks[0]) == shorter.rows[0].input_ids.count(SEG_ID) == 3
    assert "Answer 2" in supervised(processor, shorter.rows[0])
    assert "Answer 3" not in supervised(processor, shorter.rows[0])


def test_words_may_be_cut_and_a_mask_may_not(processor: LisaProcessor) -> None:
    plain = Dialogue(talk(("Tell me.", "word " * 100)))
    whole = len(encode(processor, plain).rows[0].input_ids)
    cut = encode(processor, plain, most=whole - 50)
    assert len(cut.rows[0].input_ids) == whole - 50
    assert cut.shortened == 1
    pointing = Dialogue(talk(("Tell me.", "word " * 100 + "[SEG].")), (LEFT,))
    with pytest.raises(DataError, match=r"the record has a turn of \d+ tokens .*raise max_length"):
        encode(processor, pointing, most=whole - 50)
    with pytest.raises(DataError, match="raise max_length"):
        encode(processor, Dialogue(talk(("long " * 200, "Yes."))), most=150)


@pytest.mark.parametrize(
    ("dialogue", "message"),
    [
        (Dialogue(talk(("q", "a [SEG]."))), r"has 1 \[SEG\] in its answers and 0 masks"),
        (Dialogue(talk(("q", "a.")), (LEFT,)), r"has 0 \[SEG\] in its answers and 1 masks"),
        (
            Dialogue(talk(("q", "a [SEG].")), (NoMask(ImageSize(5, 6)),)),
            "has a mask of 5 x 6 pixels .* but its picture has 40 x 60",
        ),
        (Dialogue(Conversation().answer("a")), "cannot be put into the template"),
    ],
)
def test_refused(processor: LisaProcessor, dialogue: Dialogue, message: str) -> None:
    with pytest.raises(DataError, match=f"the record {message}"):
        encode(processor, dialogue)


def test_a_picture_that_cannot_be_read(processor: LisaProcessor) -> None:
    with pytest.raises(ImageError):
        encode_sample(sample(Dialogue(talk(("q", "a"))), image=b"none"), processor, LONG)


def test_a_batch_is_its_examples_side_by_side(processor: LisaProcessor) -> None:
    one = encode(
        processor, Dialogue(talk(("Left?", "[SEG].")), (LEFT,)), Dialogue(talk(("q", "a")))
    )
    other = encode(processor, Dialogue(talk(("Much longer?", "Indeed.")), ()))
    batch = collate([one, other], processor)
    assert batch.image_index.tolist() == [0, 0, 1]
    assert [len(masks) for masks in batch.gt_masks] == [1, 0, 0]
    rows = [*one.rows, *other.rows]
    for number, row in enumerate(rows):
        length = len(row.input_ids)
        assert batch.input_ids[number, :length].tolist() == row.input_ids
        assert batch.labels[number, :length].tolist() == row.labels
        assert batch.attention_mask[number].tolist() == [
            place < length for place in range(batch.input_ids.shape[1])
        ]
        assert (batch.labels[number, length:] == IGNORE_INDEX).all()
    assert batch.images.pixel_values.shape[0] == 2
    assert batch.text_count == sum(
        label != IGNORE_INDEX for row in rows for label in row.labels[1:]
    )
    assert batch.mask_count == 1
    assert torch.equal(batch.images.sam_pixel_values[:1], one.image.sam_pixel_values)
