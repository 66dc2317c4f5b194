"""The baseline that answers every question with the largest object of the picture."""

from __future__ import annotations

from collections.abc import Iterable

from eval.answers import Result
from eval.metrics import count_pixels
from eval.nano.pictures import Picture


def largest_object_results(pictures: Iterable[Picture]) -> list[Result]:
    """Answers every question with the largest object of its picture."""
    results = []
    for picture in pictures:
        largest = picture.largest_mask()
        for question in picture.questions:
            counts = count_pixels(largest, picture.target_of(question))
            results.append(Result(question.key, question.group, question.subsets, counts))
    return results
