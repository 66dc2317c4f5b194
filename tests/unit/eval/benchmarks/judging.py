"""Answers whose scores are known beforehand, for any benchmark."""

from __future__ import annotations

from collections.abc import Sequence

from eval.questions import Picture
from eval.results import Answer, GivenSegment, Result, judge


def right_answers(pictures: Sequence[Picture]) -> list[Result]:
    """What somebody gives who knows every right answer: each thing in a mask of its own."""
    results = []
    for picture in pictures:
        for question in picture.questions:
            truth = picture.truth_of(question)
            given = tuple(GivenSegment(region) for region in truth.regions)
            results.append(judge(picture, question, truth, Answer(given, None, len(given))))
    return results


def silence(pictures: Sequence[Picture]) -> list[Result]:
    """What somebody gives who never shows anything."""
    return [
        judge(picture, question, picture.truth_of(question), Answer((), None, 0))
        for picture in pictures
        for question in picture.questions
    ]
