"""Puts questions to a pipeline and counts how well its masks agree with the right answers.

The protocol is called *generate*: the model writes its own answer, as users get it. Where it points
several times, the masks are united; an answer that points nowhere has the empty mask.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from eval.metrics import PixelCounts, count_pixels, score
from eval.prediction_log import PredictionLog
from eval.questions import BoolMask, Picture, Question
from lisa.masks import encode_rle
from lisa.types import Segment

if TYPE_CHECKING:
    from PIL import Image

    from lisa.pipeline import LisaPipeline

MAX_NEW_TOKENS = 32
"""Answers of `lisa-nano` have about a dozen tokens; a model that rambles is stopped here."""

_AT_ONCE = 16
"""Most questions of a batch: those of a picture of many things would not fit into memory."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a pipeline gave to a question.

    Attributes:
        mask: `bool (H, W)`, at the size of the picture.
        text: What it said; None for a click or a box.
        pointed: How many masks it gave, empty ones included.
        seconds: Time taken, without that for encoding the picture.
    """

    mask: BoolMask
    text: str | None
    pointed: int
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
        pointed: How many masks the answer gave, empty ones included.
    """

    key: str
    group: str
    subsets: tuple[str, ...]
    counts: PixelCounts
    answer: str | None = None
    mask: Mapping[str, Any] | None = None
    seconds: float = 0.0
    pointed: int = 1

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


def pipeline_results(
    pipeline: LisaPipeline, pictures: Sequence[Picture], log: PredictionLog, system: str
) -> list[Result]:
    """Answers every question with a pipeline, except those that the log already holds.

    Args:
        pipeline: What is evaluated.
        pictures: With their questions.
        log: The answers about a picture are written to it at once.
        system: Name under which the log keeps the answers, and label of the progress bar.
    """
    results: list[Result] = []
    progress = Progress(system, sum(len(picture.questions) for picture in pictures), "question")
    with progress:
        for picture in pictures:
            for result in picture_results(pipeline, picture, log, system):
                results.append(result)
                progress.show([result])
                progress.advance()
    return results


class Progress:
    """A progress bar with the running gIoU of the group that is asked."""

    def __init__(self, name: str, total: int, unit: str, *, show: bool = True) -> None:
        """Open the bar.

        Args:
            name: Stands before it.
            total: Its length.
            unit: What it counts.
            show: Whether it is drawn.
        """
        self._bar = tqdm(
            total=total, desc=name, unit=unit, dynamic_ncols=True, leave=None, disable=not show
        )
        self._counts: dict[str, list[PixelCounts]] = {}

    def __enter__(self) -> Progress:
        """Return the bar."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close it."""
        self._bar.close()

    def show(self, results: Iterable[Result]) -> None:
        """Bring the running score up to date."""
        for result in results:
            group = self._counts.setdefault(result.group, [])
            group.append(result.counts)
            self._bar.set_postfix_str(f"{result.group} gIoU {score(group).giou:.3f}", refresh=False)

    def advance(self) -> None:
        """Go on by one unit."""
        self._bar.update()


def picture_results(
    pipeline: LisaPipeline,
    picture: Picture,
    log: PredictionLog,
    system: str,
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> list[Result]:
    """Answers the questions about one picture, except those that the log already holds.

    The picture is encoded once, and questions in words are answered in batches.

    Args:
        pipeline: What is evaluated.
        picture: With its questions.
        log: The answers are written to it at once.
        system: Name under which the log keeps them.
        max_new_tokens: Most tokens of an answer.

    Raises:
        LisaError: If the picture or a right answer is damaged; then no question of it is asked.
    """
    known = {question.key: log.find(system, question.key) for question in picture.questions}
    open_questions = [question for question in picture.questions if known[question.key] is None]
    fresh = {}
    if open_questions:
        right = [(picture.target_of(q), picture.ignore_of(q)) for q in open_questions]
        answers = ask(pipeline, picture.open(), open_questions, max_new_tokens)
        for question, (target, ignore), answer in zip(open_questions, right, answers, strict=True):
            result = Result(
                question.key,
                question.group,
                question.subsets,
                count_pixels(answer.mask, target, ignore),
                answer.text,
                dict(encode_rle(answer.mask)),
                round(answer.seconds, 4),
                answer.pointed,
            )
            log.append(system, question.key, result.to_record())
            fresh[question.key] = result
    return [
        fresh[question.key] if record is None else Result.from_record(record)
        for question in picture.questions
        for record in (known[question.key],)
    ]


def ask(
    pipeline: LisaPipeline,
    image: Image.Image,
    questions: Sequence[Question],
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> list[Answer]:
    """Puts questions about one picture.

    Every question asks for one thing: where an answer points several times, its masks are united,
    and an answer that points nowhere has the empty mask, whichever words it found for that.

    Returns:
        One answer for each question, in their order.
    """
    shown = pipeline.encode(image)
    worded = [question for question in questions if question.text is not None]
    answers: dict[str, Answer] = {}
    for first in range(0, len(worded), _AT_ONCE):
        batch = worded[first : first + _AT_ONCE]
        started = time.perf_counter()
        predictions = pipeline.answer(
            [shown],
            [question.conversation for question in batch],
            [0] * len(batch),
            max_new_tokens=max_new_tokens,
        )
        seconds = (time.perf_counter() - started) / len(batch)
        for question, prediction in zip(batch, predictions, strict=True):
            answers[question.key] = _united(prediction.segments, image, prediction.text, seconds)
    for question in questions:
        if question.key not in answers:
            started = time.perf_counter()
            points = None if question.point is None else [question.point]
            boxes = None if question.box is None else [question.box]
            segments = pipeline.segment_region(shown, points=points, boxes=boxes)
            seconds = time.perf_counter() - started
            answers[question.key] = _united(segments, image, None, seconds)
    return [answers[question.key] for question in questions]


def _united(
    segments: Sequence[Segment], image: Image.Image, text: str | None, seconds: float
) -> Answer:
    united = np.zeros((image.height, image.width), dtype=bool)
    for segment in segments:
        united |= segment.mask
    pointed = sum(segment.status != "absent" for segment in segments)
    return Answer(united, text, pointed, seconds)
