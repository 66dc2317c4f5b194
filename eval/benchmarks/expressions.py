"""What most published benchmarks ask of a record: its expressions, each one by itself."""

from __future__ import annotations

from eval.data_sets import ABSENT, Asked
from lisa.data.records import Record, Target


def every_expression(_: int, record: Record) -> list[Asked]:
    """Return every expression of every target, as the referring sets count them.

    Unlike in data sets of one's own, words that occur twice are asked twice: each is right for its
    own region only, so a perfect score may be out of reach, as it is for everybody.
    """
    return [
        Asked(said, (target,), subsets_of(target))
        for target in record.targets
        for said in target.expressions
    ]


def subsets_of(target: Target) -> tuple[str, ...]:
    """Return the subset of what is absent, for that which is."""
    return (ABSENT,) if target.is_absent else ()
