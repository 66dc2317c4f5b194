"""Multi-label tagging: mAP, CP and CR, as `batch_inference.py` of RAM scores them.

The released script (xinyu1205/recognize-anything) counts a class without a picture that shows it as
AP 0 and recall 0, and a class that is never predicted as precision 0. Every figure is therefore
there twice: so, and over the classes that have what the figure needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.metrics.bootstrap import (
    Floats,
    Measurement,
    Weights,
    from_draws,
    in_order,
    with_intervals,
)
from eval.metrics.figures import Figure
from lisa.errors import DataError

# What the released script adds to its denominators.
_AP_EPSILON = 1e-8
_PR_EPSILON = 1e-9


@dataclass(frozen=True, eq=False)
class TagRecord:
    """One picture.

    Attributes:
        key: Of the picture.
        probabilities: `(classes,)` in [0, 1].
        shown: `bool (classes,)`, which tags are right. Where a tag stands in the list twice, both.
    """

    key: str
    probabilities: ArrayLike
    shown: ArrayLike


@dataclass(frozen=True, eq=False)
class _Sums:
    """What a draw of pictures says of each class, `(classes,)` each."""

    average_precision: Floats
    right: Floats
    predicted: Floats
    shown: Floats


class _Pictures:
    """All pictures as matrices, and what any draw of them says of the classes."""

    def __init__(self, records: Sequence[TagRecord], thresholds: ArrayLike, classes: int) -> None:
        shape = (len(records), classes)
        self.probabilities = np.zeros(shape, np.float64)
        self.shown = np.zeros(shape, bool)
        for number, record in enumerate(records):
            self.probabilities[number] = _row(record.probabilities, classes, record.key)
            self.shown[number] = _row(record.shown, classes, record.key)
        # A probability at the threshold is a "yes" here; the models' own decision is `>`.
        self.predicted = self.probabilities >= np.asarray(thresholds, np.float64)
        # Pictures with equal probabilities stand in the order of their keys.
        order = np.argsort(-self.probabilities, axis=0, kind="stable")
        self._order = np.ascontiguousarray(order.T, dtype=np.int32)
        # Of each class, the places in that order of the pictures that show it.
        self._places = [
            np.flatnonzero(shown[order])
            for shown, order in zip(self.shown.T, self._order, strict=True)
        ]
        # float32 counts are exact up to 2^24 pictures.
        self._counted = [
            one.astype(np.float32)
            for one in (self.shown & self.predicted, self.predicted, self.shown)
        ]

    def sums(self, weights: Weights) -> _Sums:
        """Score each class over pictures taken so many times."""
        times = weights.astype(np.int32)
        precisions = np.zeros(len(self._order))
        for number, (order, places) in enumerate(zip(self._order, self._places, strict=True)):
            last_ranks = np.cumsum(times[order])[places]
            copies = times[order[places]]
            found = np.arange(1, copies.sum() + 1)
            # The copies of a picture have the ranks up to its last one.
            ranks = found + np.repeat(last_ranks - np.cumsum(copies), copies)
            precisions[number] = (found / ranks).sum()
        counts = (weights.astype(np.float32) @ one for one in self._counted)
        return _Sums(precisions, *(one.astype(np.float64) for one in counts))


def tagging_figures(
    records: Iterable[TagRecord],
    thresholds: ArrayLike,
    tags: Sequence[str],
    *,
    per_class: bool = False,
    seed: int = 0,
) -> tuple[Figure, ...]:
    """Return the figures of `tagging_measurement` with their intervals."""
    return with_intervals(tagging_measurement(records, thresholds, tags, per_class), seed)


def tagging_measurement(
    records: Iterable[TagRecord],
    thresholds: ArrayLike,
    tags: Sequence[str],
    per_class: bool = False,
) -> Measurement:
    """Measure mAP, CP and CR under both readings.

    AP is the mean of the precisions at the ranks of the pictures that show the tag; CP and CR are
    means of the classes' precisions and recalls.

    Args:
        records: One for each picture.
        thresholds: `(classes,)` or one for all; a probability that reaches it predicts the tag.
        tags: Names of the classes.
        per_class: Whether to add `AP: <tag>`, `P: <tag>` and `R: <tag>` of every class, as the
            released script counts them; without a value where the class has none.

    Raises:
        DataError: If a picture is there twice, or has not one number for each class.
    """
    kept = in_order(records)
    pictures = _Pictures(kept, thresholds, len(tags))
    shown, predicted = pictures.shown.any(axis=0), pictures.predicted.any(axis=0)
    figures = _figures(len(kept), int(shown.sum()), int(predicted.sum()))
    if per_class:
        for name, counted in (
            ("AP", pictures.shown),
            ("P", pictures.predicted),
            ("R", pictures.shown),
        ):
            per_tag = zip(tags, counted.sum(axis=0), strict=True)
            figures += [Figure(f"{name}: {tag}", None, n=int(n)) for tag, n in per_tag]

    # A class that a draw happens to miss must not count 0: intervals would slide below the values.
    # Every draw counts as large a share of the classes as 0 as the pictures themselves.
    shares = (shown.mean(), predicted.mean(), shown.mean())

    def statistic(weights: Weights) -> list[float]:
        return _values(pictures.sums(weights), shares, per_class)

    return from_draws([one.key for one in kept], [""] * len(kept), figures, statistic)


def _figures(pictures: int, shown: int, predicted: int) -> list[Figure]:
    zero = "classes without what the figure needs count as 0"
    left_out = "over {} classes"
    return [
        Figure("mAP", None, n=pictures, note=zero),
        Figure("CP", None, n=pictures, note=zero),
        Figure("CR", None, n=pictures, note=zero),
        Figure("mAP (classes that occur)", None, n=pictures, note=left_out.format(shown)),
        Figure("CP (classes predicted)", None, n=pictures, note=left_out.format(predicted)),
        Figure("CR (classes that occur)", None, n=pictures, note=left_out.format(shown)),
    ]


def _values(sums: _Sums, shares: Sequence[float], per_class: bool) -> list[float]:
    released = [
        sums.average_precision / (sums.shown + _AP_EPSILON),
        sums.right / (sums.predicted + _PR_EPSILON),
        sums.right / (sums.shown + _PR_EPSILON),
    ]
    plain = [
        _quotient(sums.average_precision, sums.shown),
        _quotient(sums.right, sums.predicted),
        _quotient(sums.right, sums.shown),
    ]
    counted = [~np.isnan(one) for one in plain]
    values = [
        share * _mean(one[which])
        for one, which, share in zip(released, counted, shares, strict=True)
    ]
    values += [_mean(one[which]) for one, which in zip(plain, counted, strict=True)]
    if per_class:
        for one, which in zip(released, counted, strict=True):
            values += np.where(which, one, np.nan).tolist()
    return values


def _quotient(above: Floats, below: Floats) -> Floats:
    quotient = np.full(above.shape, np.nan)
    np.divide(above, below, out=quotient, where=below > 0)
    return quotient


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else math.nan


def _row(values: ArrayLike, classes: int, key: str) -> NDArray[np.generic]:
    row = np.asarray(values)
    if row.shape != (classes,):
        raise DataError(
            f"{key} has values of shape {row.shape}, not one for each of {classes} tags."
        )
    return row
