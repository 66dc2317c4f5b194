"""Which samples a page shows, where it cannot show all of them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, zip_longest

from eval.results import Result


def worst_first(results: Iterable[Result], number: int) -> list[Result]:
    """Choose the worst answers of every group, by turns, so that no group crowds out the others.

    Args:
        results: Of one system.
        number: Most to choose.

    Returns:
        Them all in one order, the lowest IoU first; equal ones by key.
    """
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.group, []).append(result)
    for answers in groups.values():
        answers.sort(key=_badness)
    by_turns = chain.from_iterable(zip_longest(*groups.values()))
    return sorted([one for one in by_turns if one is not None][:number], key=_badness)


def _badness(result: Result) -> tuple[float, str]:
    return result.counts.iou, result.key
