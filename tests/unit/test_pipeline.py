from __future__ import annotations

import json

import numpy as np
import pytest

from lisa.errors import CheckpointError, PromptError
from lisa.pipeline import LisaPipeline
from lisa.segments import segment_of
from lisa.types import Conversation
from tests.tiny import REJECT_ID, SEG_ID, emit, picture, tiny_model, tiny_processor

END = 1


@pytest.fixture(scope="module")
def pipeline() -> LisaPipeline:
    return LisaPipeline(tiny_model(), tiny_processor())


def words(pipeline: LisaPipeline, *parts: str | int) -> list[int]:
    """Ids of text and of tokens that are given as numbers."""
    encode = pipeline.processor.tokenizer.encode
    ids = [[p] if isinstance(p, int) else encode(p, add_bos=False) for p in parts]
    return [i for part in ids for i in part]


def test_text_and_segments(pipeline) -> None:
    answer = words(pipeline, "It is the cup ", SEG_ID, ". No dog ", REJECT_ID, ", ", SEG_ID, END)
    emit(pipeline.model, [answer])
    prediction = pipeline(picture(33, 50), "What holds tea?")
    assert prediction.text == "It is the cup [SEG]. No dog [REJ], [SEG]"
    cup, dog, other = prediction.segments
    assert [s.phrase for s in prediction.segments] == ["cup", "dog", None]
    spans = [prediction.text[slice(*s.text_span)] for s in prediction.segments]
    assert spans == ["[SEG]", "[REJ]", "[SEG]"]
    assert cup.text_span != other.text_span
    assert dog.status == "absent"
    assert not dog.mask.any()
    assert dog.box is None
    assert dog.score == 0
    assert {cup.status, other.status} <= {"found", "empty"}
    assert all(s.mask.shape == (33, 50) and s.mask.dtype == bool for s in prediction.segments)
    assert [m.role for m in prediction.conversation.messages] == ["user", "assistant"]
    assert prediction.conversation.messages[1].text == prediction.text


def test_a_mask_without_pixels_is_empty_not_absent() -> None:
    import torch

    segment = segment_of(torch.full((4, 6), -1.0), 0.9, "cup", (0, 5), 0)
    assert (segment.status, segment.box, segment.score) == ("empty", None, 0.0)
    segment = segment_of(torch.tensor([[-1.0, 2.0]]), 0.5, "cup", (0, 5), 0)
    assert segment.status == "found"
    assert segment.box == (1, 0, 2, 1)
    assert segment.score == pytest.approx(0.5 * torch.tensor(2.0).sigmoid().item())


def test_a_literal_token_in_the_answer_is_not_taken_for_a_mask(pipeline) -> None:
    """The letters [SEG], spelt out byte by byte, stand before the token."""
    letters = [pipeline.processor.tokenizer.encode(c, add_bos=False)[0] for c in "[SEG]"]
    emit(pipeline.model, [[*letters, *words(pipeline, " or "), SEG_ID, END]])
    prediction = pipeline(picture(9, 9), "Where?")
    assert prediction.text == "[SEG] or [SEG]"
    assert [s.text_span for s in prediction.segments] == [(9, 14)]


def test_questions_are_plain_text(pipeline, monkeypatch) -> None:
    seen: list[list[int]] = []
    pad = pipeline.processor.pad
    monkeypatch.setattr(pipeline.processor, "pad", lambda rows: seen.extend(rows) or pad(rows))
    emit(pipeline.model, [[END]])
    asked = "Is [SEG] or <image> or </s> or [REJ] here?"
    prediction = pipeline(picture(9, 9), asked)
    assert SEG_ID not in seen[0]
    assert REJECT_ID not in seen[0]
    assert END not in seen[0]
    assert sum(i == -200 for i in seen[0]) == pipeline.processor.settings.image_tokens
    assert prediction.conversation.messages[0].text == asked


def test_later_turns_reuse_the_picture(pipeline, monkeypatch) -> None:
    runs: list[int] = []
    encode = pipeline.model.segmenter.encode
    monkeypatch.setattr(
        pipeline.model.segmenter, "encode", lambda x: runs.append(len(x)) or encode(x)
    )
    image = pipeline.encode(picture(20, 30))
    assert not runs
    emit(pipeline.model, [[SEG_ID, END]])
    first = pipeline(image, "Where?")
    emit(pipeline.model, [[SEG_ID, END]])
    second = pipeline(image, "And again?", conversation=first.conversation)
    assert runs == [1]
    assert [m.role for m in second.conversation.messages] == ["user", "assistant"] * 2
    pipeline.segment_region(image, points=[(3, 3)])
    assert runs == [1]


def test_a_batch_of_questions(pipeline) -> None:
    images = pipeline.encode_all([picture(20, 30), picture(31, 17)])
    asked = [
        Conversation().ask("a?", 1),
        Conversation().ask("bbb?", 0),
        Conversation().ask("c?", 1),
    ]
    emit(pipeline.model, [[SEG_ID, END], [END], [40, SEG_ID, END]])
    found = pipeline.answer(images, asked)
    assert [len(p.segments) for p in found] == [1, 0, 1]
    assert found[0].segments[0].mask.shape == (31, 17)
    assert found[0].segments[0].image_index == 1


def test_answers_stop_at_the_context() -> None:
    processor = tiny_processor()
    length = len(processor.encode_conversation(Conversation().ask("Where?", 0)))
    pipeline = LisaPipeline(tiny_model(), tiny_processor(context=length + 3))
    emit(pipeline.model, [[40] * 10])
    assert len(pipeline(picture(9, 9), "Where?").text) == 3


def test_points_boxes_and_masks(pipeline) -> None:
    image = picture(33, 50)
    points = [(3.0, 4.0), (40.0, 20.0)]
    assert len(pipeline.segment_region(image, points=points, point_labels=[1, 0])) == 1
    boxes = pipeline.segment_region(image, boxes=[(0, 0, 20, 20), (10, 5, 50, 33)])
    assert [s.mask.shape for s in boxes] == [(33, 50)] * 2
    assert len(pipeline.segment_region(image, masks=[np.ones((33, 50), dtype=bool)])) == 1
    for arguments, message in (
        ({}, "nothing to segment"),
        ({"points": points, "boxes": [(0, 0, 1, 1)]}, "one after the other"),
        ({"points": points, "point_labels": [1]}, "2 points and 1 labels"),
        ({"masks": [np.ones((5, 5), dtype=bool)]}, r"shape \(5, 5\), the picture \(33, 50\)"),
    ):
        with pytest.raises(PromptError, match=message):
            pipeline.segment_region(image, **arguments)


def test_from_a_folder(tmp_path, pipeline) -> None:
    pipeline.model.save_pretrained(tmp_path)
    pipeline.processor.save_pretrained(tmp_path)
    loaded = LisaPipeline.from_pretrained(
        tmp_path, device="cpu", dtype="bfloat16", pack_weights=False
    )
    assert str(loaded.model.dtype) == str(loaded.model.segmenter_dtype) == "torch.bfloat16"
    mixed = LisaPipeline.from_pretrained(
        tmp_path, device="cpu", dtype="bfloat16", segmenter_dtype="float32"
    )
    emit(mixed.model, [[SEG_ID, END]])
    assert mixed(picture(9, 9), "Where?").text == "[SEG]"
    for one in (loaded, mixed):
        assert one.segment_region(picture(9, 9), points=[(3, 4)])[0].mask.shape == (9, 9)
        shown = np.ones((9, 9), dtype=bool)
        assert len(one.segment_region(picture(9, 9), boxes=[(1, 2, 5, 6)], masks=[shown])) == 1
    with pytest.raises(CheckpointError, match="leave them out"):
        LisaPipeline.from_pretrained(tmp_path, device="cpu", quantize="4bit")


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "cannot be read"), ("{", "cannot be read"), ("[]", "holds no JSON object")],
)
def test_a_folder_that_is_no_model(tmp_path, content, told) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(
        CheckpointError, match=rf"config\.json {told}.*: give the folder of a model"
    ):
        LisaPipeline.from_pretrained(tmp_path, device="cpu")


def test_a_box_around_nothing_is_json(pipeline) -> None:
    emit(pipeline.model, [[REJECT_ID, END]])
    segment = pipeline(picture(9, 9), "Where?").segments[0]
    assert json.dumps([segment.box, segment.score, segment.status, segment.text_span])
