"""A few records of a data set that stand for all of it."""

from __future__ import annotations


def spread(length: int, number: int) -> list[int]:
    """Return up to `number` indexes of `length` records, evenly over all of them and in order."""
    number = min(length, number)
    return [index * length // number for index in range(number)]
