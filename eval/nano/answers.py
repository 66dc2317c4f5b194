"""Puts questions to a pipeline and counts how well its masks agree with the right answers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from eval.metrics import PixelCounts, count_pixels, score
from eval.nano.pictures import BoolMask, Picture, Question
from eval.nano.prediction_log import PredictionLog
from lisa.masks import encode_rle
from lisa.types import Conversation, Segment

if TYPE_CHECKING:
    from PIL import Image

    from lisa.pipeline import LisaPipeline

MAX_NEW_TOKENS = 32
"""Answers of `lisa-nano` have about a dozen tokens; a model that rambles is stopped here."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a pipeline gave to a question.

    Attributes:
        mask: `bool (H, W)`, at the size of the picture.
        text: What it said; None for a click or a box.
        seconds: Time taken, without that for encoding the picture.
    """

    mask: BoolMask
    text: str | None
    seconds: float


@dataclass(frozen=True)
class Result:
    """One scored answer.

    Attributes:
        key: The question's key.
        group: The question's group.
        subsets: The question's subsets.
        counts: Agreement of the answer's mask with the right one.
        answer: What the model said; None for clicks, boxes and the largest-object baseline.
        mask: The answer's mask as COCO run lengths; None where it is not kept.
        seconds: Time taken; the questions of a picture are asked together and share theirs evenly.
    """

    key: str
    group: str
    subsets: tuple[str, ...]
    counts: PixelCounts
    answer: str | None = None
    mask: Mapping[str, Any] | None = None
    seconds: float = 0.0

    def to_record(self) -> dict[str, Any]:
        """Returns the result as a JSON-ready record."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Result:
        """Reads what `to_record` wrote."""
        fields = dict(record)
        fields["subsets"] = tuple(fields["subsets"])
        fields["counts"] = PixelCounts(**fields["counts"])
        return cls(**fields)


def largest_object_results(pictures: Iterable[Picture]) -> list[Result]:
    """Answers every question with the largest object of its picture."""
    results = []
    for picture in pictures:
        largest = picture.largest_mask()
        for question in picture.questions:
            counts = count_pixels(largest, picture.target_of(question))
            results.append(Result(question.key, question.group, question.subsets, counts))
    return results


def pipeline_results(
    pipeline: LisaPipeline, pictures: Sequence[Picture], log: PredictionLog, system: str
) -> list[Result]:
    """Answers every question with a pipeline, except those that the log already holds.

    Each picture is encoded once, and its questions in words are answered as one batch.

    Args:
        pipeline: What is evaluated.
        pictures: With their questions.
        log: The answers about a picture are written to it at once.
        system: Name under which the log keeps the answers, and label of the progress bar.
    """
    results: list[Result] = []
    ious: dict[str, list[PixelCounts]] = {}
    total = sum(len(picture.questions) for picture in pictures)
    with tqdm(total=total, desc=system, unit="question", dynamic_ncols=True) as bar:
        for picture in pictures:
            for result in _picture_results(pipeline, picture, log, system):
                results.append(result)
                group = ious.setdefault(result.group, [])
                group.append(result.counts)
                bar.set_postfix_str(f"{result.group} gIoU {score(group).giou:.3f}", refresh=False)
                bar.update()
    return results


def _picture_results(
    pipeline: LisaPipeline, picture: Picture, log: PredictionLog, system: str
) -> list[Result]:
    known = {question.key: log.find(system, question.key) for question in picture.questions}
    open_questions = [question for question in picture.questions if known[question.key] is None]
    fresh = {}
    if open_questions:
        answers = ask(pipeline, picture.open(), open_questions)
        for question, answer in zip(open_questions, answers, strict=True):
            counts = count_pixels(answer.mask, picture.target_of(question))
            result = Result(
                question.key,
                question.group,
                question.subsets,
                counts,
                answer.text,
                dict(encode_rle(answer.mask)),
                round(answer.seconds, 4),
            )
            log.append(system, question.key, result.to_record())
            fresh[question.key] = result
    return [
        fresh[question.key] if record is None else Result.from_record(record)
        for question in picture.questions
        for record in (known[question.key],)
    ]


def ask(pipeline: LisaPipeline, image: Image.Image, questions: Sequence[Question]) -> list[Answer]:
    """Puts questions about one picture.

    Every question asks for one thing: where an answer points several times, its masks are united,
    and an answer that points nowhere has the empty mask, whichever words it found for that.

    Returns:
        One answer for each question, in their order.
    """
    shown = pipeline.encode(image)
    worded = [question for question in questions if question.text is not None]
    answers: dict[str, Answer] = {}
    if worded:
        started = time.perf_counter()
        predictions = pipeline.answer(
            [shown],
            [Conversation().ask(question.text or "", image_index=0) for question in worded],
            [0] * len(worded),
            max_new_tokens=MAX_NEW_TOKENS,
        )
        seconds = (time.perf_counter() - started) / len(worded)
        for question, prediction in zip(worded, predictions, strict=True):
            mask = _united(prediction.segments, image)
            answers[question.key] = Answer(mask, prediction.text, seconds)
    for question in questions:
        if question.key not in answers:
            started = time.perf_counter()
            points = None if question.point is None else [question.point]
            boxes = None if question.box is None else [question.box]
            mask = _united(pipeline.segment_region(shown, points=points, boxes=boxes), image)
            answers[question.key] = Answer(mask, None, time.perf_counter() - started)
    return [answers[question.key] for question in questions]


def _united(segments: Sequence[Segment], image: Image.Image) -> BoolMask:
    united = np.zeros((image.height, image.width), dtype=bool)
    for segment in segments:
        united |= segment.mask
    return united
