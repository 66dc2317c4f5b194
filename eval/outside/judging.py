"""Judges the masks of another system by the right answers of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence

from tqdm import tqdm

from eval.loading import fault_at
from eval.outside.contract import GivenMasks
from eval.outside.own_file import Answers
from eval.questions import Picture
from eval.report.header import Header
from eval.results import Answer, Result, judge
from lisa.data.faults import Fault
from lisa.errors import DataError, LisaError

_SILENCE = Answer((), None, 0)


def judge_given(
    given: GivenMasks, pictures: Sequence[Picture], header: Header, *, show: bool = True
) -> Answers:
    """Judge masks; a question without any has the empty mask.

    Args:
        given: Of the other system.
        pictures: Of the benchmark, with their questions.
        header: What was asked.
        show: Whether a progress bar is drawn.

    Raises:
        DataError: If a mask is damaged or of another size, if it may belong to several questions,
            or if there are masks that belong to no question.
    """
    results: list[Result] = []
    damaged: list[Fault] = []
    unanswered: list[str] = []
    numbers = tqdm(range(len(pictures)), header.benchmark, disable=not show, leave=None)
    for index in numbers:
        try:
            picture = pictures[index]
            truths = [(question, picture.truth_of(question)) for question in picture.questions]
        except LisaError as error:
            damaged.append(fault_at(pictures, index, error))
            continue
        for question, truth in truths:
            answer = given.find(picture, question, truth.size)
            if answer is None:
                unanswered.append(question.key)
            results.append(judge(picture, question, truth, answer or _SILENCE))
    left = given.left_over()
    if left and header.limit is None and not damaged:
        raise DataError(
            f"{left[0]} belongs to no question of {header.benchmark}; {len(left)} such in all: "
            "check the benchmark's name and the names of what was asked."
        )
    return Answers(header, tuple(results), tuple(damaged), tuple(unanswered))
