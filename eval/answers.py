"""From the segments that a pipeline gives to answers, and answers to clicks and boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.questions import Question
from eval.results import Answer, GivenSegment
from lisa.types import Segment

if TYPE_CHECKING:
    from lisa.models import EncodedImage
    from lisa.pipeline import LisaPipeline


def to_answer(segments: Sequence[Segment], text: str | None, new_tokens: int = 0) -> Answer:
    """Return what was shown, without refusals.

    Args:
        segments: Of one answer.
        text: What was said; None for a click or a box.
        new_tokens: Its length.
    """
    shown = [segment for segment in segments if segment.status != "absent"]
    return Answer(
        tuple(GivenSegment(segment.mask, round(segment.score, 6)) for segment in shown),
        text,
        len(shown),
        new_tokens=new_tokens,
    )


def ask_regions(
    pipeline: LisaPipeline, image: EncodedImage, questions: Sequence[Question]
) -> list[Answer]:
    """Answer clicks and boxes on one picture: all clicks in one batch, and all boxes.

    Returns:
        One answer for each question, in their order.
    """
    answers: dict[str, Answer] = {}
    clicks = [question for question in questions if question.point is not None]
    boxed = [question for question in questions if question.box is not None]
    if clicks:
        points = [question.point for question in clicks if question.point is not None]
        found = pipeline.segment_region(image, points=points, apart=True)
        answers |= _by_key(clicks, found)
    if boxed:
        boxes = [question.box for question in boxed if question.box is not None]
        answers |= _by_key(boxed, pipeline.segment_region(image, boxes=boxes))
    return [answers[question.key] for question in questions]


def _by_key(questions: Sequence[Question], segments: Sequence[Segment]) -> dict[str, Answer]:
    return {
        question.key: to_answer([segment], None)
        for question, segment in zip(questions, segments, strict=True)
    }
