"""The baseline that answers every question with the largest object of the picture."""

from __future__ import annotations

from collections.abc import Iterable

from eval.nano.pictures import Picture
from eval.results import Answer, GivenSegment, Result, judge


def largest_object_results(pictures: Iterable[Picture]) -> list[Result]:
    """Answers every question with the largest object of its picture."""
    results = []
    for picture in pictures:
        largest = Answer((GivenSegment(picture.largest_mask()),), None, 1)
        for question in picture.questions:
            results.append(judge(picture, question, picture.truth_of(question), largest))
    return results
