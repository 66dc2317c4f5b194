"""Scores of many answers, group by group, as JSON-ready numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from eval.metrics import score, score_pointing
from eval.results import Result


def summarise(results: Iterable[Result], groups: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Scores each group: `{"naming": {"giou", "ciou", "n", <subset>: {the same keys}}, ...}`.

    Args:
        results: Answers of one system.
        groups: Which groups to report, in this order; one without answers has scores of None.
    """
    kept = list(results)
    summary: dict[str, dict[str, Any]] = {}
    for group in groups:
        of_group = [result for result in kept if result.group == group]
        summary[group] = mask_scores(of_group)
        for subset in sorted({name for result in of_group for name in result.subsets}):
            summary[group][subset] = mask_scores([r for r in of_group if subset in r.subsets])
    return summary


def mask_scores(results: Sequence[Result]) -> dict[str, Any]:
    """Returns gIoU, cIoU and their number of answers: `{"giou", "ciou", "n"}`."""
    scores = score(result.counts for result in results)
    return {"giou": _rounded(scores.giou), "ciou": _rounded(scores.ciou), "n": scores.n}


def pointing_scores(results: Sequence[Result]) -> dict[str, float | None]:
    """Returns how often an answer points: `{"emission", "false_positives"}`.

    See :func:`eval.metrics.score_pointing`.
    """
    scores = score_pointing(
        (result.counts, result.pointed) for result in results if result.pointed is not None
    )
    return {
        "emission": _rounded(scores.emission),
        "false_positives": _rounded(scores.false_positives),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
