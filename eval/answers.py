"""Puts questions to a pipeline and counts how well its masks agree with the right answers.

The protocol is called *generate*: the model writes its own answer, as users get it. Where it points
several times, the masks are united; an answer that points nowhere has the empty mask.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tqdm import tqdm

from eval.metrics import PixelCounts, score
from eval.prediction_log import PredictionLog
from eval.questions import Picture, Question
from eval.results import Answer, GivenSegment, Result, judge
from lisa.types import Segment

if TYPE_CHECKING:
    from PIL import Image

    from lisa.pipeline import LisaPipeline

MAX_NEW_TOKENS = 32
"""Answers of `lisa-nano` have about a dozen tokens; a model that rambles is stopped here."""

_AT_ONCE = 16
"""Most questions of a batch: those of a picture of many things would not fit into memory."""


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
        right = [picture.truth_of(question) for question in open_questions]
        answers = ask(pipeline, picture.open(), open_questions, max_new_tokens)
        for question, truth, answer in zip(open_questions, right, answers, strict=True):
            result = judge(picture, question, truth, answer)
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
            answers[question.key] = _answer(prediction.segments, prediction.text, seconds)
    for question in questions:
        if question.key not in answers:
            started = time.perf_counter()
            points = None if question.point is None else [question.point]
            boxes = None if question.box is None else [question.box]
            segments = pipeline.segment_region(shown, points=points, boxes=boxes)
            seconds = time.perf_counter() - started
            answers[question.key] = _answer(segments, None, seconds)
    return [answers[question.key] for question in questions]


def _answer(segments: Sequence[Segment], text: str | None, seconds: float) -> Answer:
    shown = [segment for segment in segments if segment.status != "absent"]
    return Answer(
        tuple(GivenSegment(segment.mask, round(segment.score, 6)) for segment in shown),
        text,
        len(shown),
        seconds,
    )
