"""Confidence intervals by the bootstrap, and whether two systems differ by more than chance.

Samples are drawn again with replacement, as many as there are; the 2.5th and 97.5th percentile of
the figure over such draws are its interval (Efron and Tibshirani 1993, chapter 13). Questions about
one picture are not independent, so whole clusters (pictures, groups) are drawn where they are
known. A draw is a row of weights, how often each sample was taken, so that a figure that is a ratio
of sums needs one product of matrices for all draws.

Samples are sorted by key first: in which order the parts of several processes were merged changes
neither a value nor an interval by a single bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.metrics.figures import Difference, Figure
from lisa.errors import DataError

RESAMPLES = 2000
FEW_RESAMPLES = 200
"""For figures that must be worked out anew for every draw (average precision)."""

_CELLS_AT_ONCE = 1_000_000
_PERCENTILES = (2.5, 97.5)

Floats = NDArray[np.float64]
Weights = Floats


class Keyed(Protocol):
    """A record of one sample."""

    @property
    def key(self) -> str:
        """Names the sample; the same in every run."""


Record = TypeVar("Record", bound=Keyed)


def in_order(records: Iterable[Record]) -> list[Record]:
    """Sort records by key.

    Raises:
        DataError: If two have the same key, as when processes share samples to fill a batch.
    """
    ordered = sorted(records, key=lambda record: record.key)
    for one, other in zip(ordered, ordered[1:], strict=False):
        if one.key == other.key:
            raise DataError(f"The sample {one.key} is there twice: hand each one in once.")
    return ordered


@dataclass(frozen=True, eq=False)
class Measurement:
    """Figures together with what it takes to work them out for other draws of the samples.

    Attributes:
        keys: Of the samples, sorted.
        clusters: Of each sample, what it is drawn together with (its picture, its group); samples
            with an empty one are drawn alone.
        figures: Their values, without intervals.
        weighted: Works all figures out for draws: `(draws, samples)` weights to `(draws, figures)`
            values, nan for None.
        resamples: How many draws to make.
    """

    keys: tuple[str, ...]
    clusters: tuple[str, ...]
    figures: tuple[Figure, ...]
    weighted: Callable[[Weights], Floats]
    resamples: int = RESAMPLES

    def renamed(self, suffix: str) -> Measurement:
        """Put a suffix behind every figure's name."""
        renamed = (replace(figure, name=figure.name + suffix) for figure in self.figures)
        return replace(self, figures=tuple(renamed))


@dataclass(frozen=True, eq=False)
class Ratio:
    """A figure that is a sum over the samples by another one: a mean, a share, cIoU.

    Attributes:
        name: Of the figure.
        numerator: `(samples,)`.
        denominator: `(samples,)`; a sample that does not count has 0 in both.
        n: How many samples count.
        added: Added to the sum of the denominators.
        when_empty: The value where the denominators add up to 0; None for no value.
        note: Of the figure.
    """

    name: str
    numerator: Floats
    denominator: Floats
    n: int
    added: float = 0.0
    when_empty: float | None = None
    note: str = ""

    @property
    def value(self) -> float | None:
        """The figure over every sample taken once; None without samples that count."""
        if not self.n:
            return None
        # fsum is exactly rounded.
        below = math.fsum(self.denominator) + self.added
        return math.fsum(self.numerator) / below if below else self.when_empty


def mean_over(name: str, values: ArrayLike, over: ArrayLike | None = None, note: str = "") -> Ratio:
    """Return the mean of `(samples,)` values, or a share of truths, over those that count.

    Args:
        name: Of the figure.
        values: Numbers or booleans.
        over: Which samples count; None for all.
        note: Of the figure.
    """
    numbers = np.asarray(values, np.float64)
    counted = np.ones(numbers.shape, bool) if over is None else np.asarray(over, bool)
    weights = counted.astype(np.float64)
    return Ratio(name, np.where(counted, numbers, 0.0), weights, int(counted.sum()), note=note)


def from_ratios(
    keys: Sequence[str], clusters: Sequence[str], ratios: Sequence[Ratio]
) -> Measurement:
    """Measure figures that are ratios of sums.

    Args:
        keys: Of the samples, sorted.
        clusters: See `Measurement`.
        ratios: Over samples in the same order.
    """
    figures = tuple(Figure(one.name, one.value, n=one.n, note=one.note) for one in ratios)
    above = np.stack([one.numerator for one in ratios])
    below = np.stack([one.denominator for one in ratios])
    added = np.array([one.added for one in ratios])
    empty = np.array([np.nan if one.when_empty is None else one.when_empty for one in ratios])

    def weighted(weights: Weights) -> Floats:
        # Not a matrix product of BLAS: its sums depend on how many threads it has.
        top = np.einsum("dn,fn->df", weights, above)
        bottom = np.einsum("dn,fn->df", weights, below) + added
        values = np.broadcast_to(empty, top.shape).copy()
        np.divide(top, bottom, out=values, where=bottom != 0)
        return values

    return Measurement(tuple(keys), tuple(clusters), figures, weighted)


def from_draws(
    keys: Sequence[str],
    clusters: Sequence[str],
    figures: Sequence[Figure],
    statistic: Callable[[Weights], Sequence[float]],
    resamples: int = FEW_RESAMPLES,
) -> Measurement:
    """Measure any figures, worked out anew for each draw.

    Args:
        keys: Of the samples, sorted.
        clusters: See `Measurement`.
        figures: Names, numbers of samples and notes. A figure without samples has no value; the
            values of the others come from the statistic.
        statistic: From `(samples,)` weights to a value for each figure, nan for None.
        resamples: How many draws to make.
    """
    values = statistic(np.ones(len(keys))) if keys else [math.nan] * len(figures)
    valued = tuple(
        replace(figure, value=None if math.isnan(value) or not figure.n else float(value))
        for figure, value in zip(figures, values, strict=True)
    )

    def weighted(weights: Weights) -> Floats:
        return np.array([statistic(row) for row in weights], np.float64)

    return Measurement(tuple(keys), tuple(clusters), valued, weighted, resamples)


def joined(first: Measurement, second: Measurement) -> Measurement:
    """Put the figures of two measurements of the same samples together.

    Raises:
        DataError: If the samples differ.
    """
    _check_same(first, second)

    def weighted(weights: Weights) -> Floats:
        return np.concatenate([first.weighted(weights), second.weighted(weights)], axis=1)

    resamples = min(first.resamples, second.resamples)
    return replace(
        first, figures=first.figures + second.figures, weighted=weighted, resamples=resamples
    )


def with_intervals(measurement: Measurement, seed: int = 0) -> tuple[Figure, ...]:
    """Give every figure its 95 % interval.

    An interval is widened where it misses its value, as it can with few samples and with figures
    that take a maximum. Draws without a value (no sample that counts) are left out.

    Args:
        measurement: The figures.
        seed: The same seed and samples give the same intervals.
    """
    values = _resample(measurement, [measurement], seed)
    if values is None:
        return measurement.figures
    figures = []
    for figure, drawn in zip(measurement.figures, values[0].T, strict=True):
        ends = _ends(drawn, figure.value)
        figures.append(replace(figure, low=ends[0], high=ends[1]) if ends else figure)
    return tuple(figures)


def paired_differences(
    first: Measurement, second: Measurement, seed: int = 0
) -> tuple[Difference, ...]:
    """Compare two systems that were asked the same, figure by figure.

    Both are judged on the same draws, which takes out how hard the samples are. The p-value is
    twice the share of draws in which the difference has not the sign that most have, counting the
    samples themselves as one more draw so that it is never 0 (Efron and Tibshirani 1993,
    chapter 15; Koehn 2004).

    Args:
        first: Of one system.
        second: Of the other one: the same samples and figures.
        seed: As in `with_intervals`.

    Raises:
        DataError: If samples or figures differ.
    """
    _check_same(first, second)
    names = [[figure.name for figure in one.figures] for one in (first, second)]
    if names[0] != names[1]:
        raise DataError("Two measurements with different figures cannot be compared.")
    values = _resample(first, [first, second], seed)
    differences = []
    for number, (one, other) in enumerate(zip(first.figures, second.figures, strict=True)):
        found = Difference(one.name, one.value, other.value, None, None, None, None, one.n)
        if one.value is not None and other.value is not None:
            found = replace(found, difference=other.value - one.value)
        if values is not None:
            drawn = values[1][:, number] - values[0][:, number]
            ends = _ends(drawn, found.difference)
            if ends is not None:
                found = replace(found, low=ends[0], high=ends[1], p=_p_value(drawn))
        differences.append(found)
    return tuple(differences)


def _check_same(first: Measurement, second: Measurement) -> None:
    if first.keys != second.keys or first.clusters != second.clusters:
        different = sorted(set(first.keys) ^ set(second.keys))
        named = f", for instance {different[0]} is in one only" if different else ""
        raise DataError(
            f"Two measurements of different samples cannot be put together{named}: use the "
            "answers to the same questions."
        )


def _resample(
    drawn_from: Measurement, measured: Sequence[Measurement], seed: int
) -> list[Floats] | None:
    """Return the figures over draws, `(draws, figures)` each; None without two clusters."""
    # Keys and clusters are names of different things, even where they are spelt the same.
    labels = [
        (0, key) if not cluster else (1, cluster)
        for key, cluster in zip(drawn_from.keys, drawn_from.clusters, strict=True)
    ]
    numbers = {label: number for number, label in enumerate(sorted(set(labels)))}
    if len(numbers) < 2:
        return None
    member_of = np.array([numbers[label] for label in labels], np.intp)
    resamples = min(one.resamples for one in measured)
    parts: list[list[Floats]] = [[] for _ in measured]
    rows_at_once = max(1, _CELLS_AT_ONCE // len(labels))
    for times in _draws(len(numbers), resamples, rows_at_once, seed):
        weights = times[:, member_of]
        for part, one in zip(parts, measured, strict=True):
            part.append(one.weighted(weights))
    return [np.concatenate(part) for part in parts]


def _draws(clusters: int, resamples: int, rows_at_once: int, seed: int) -> Iterator[Weights]:
    """Yield how often each cluster was drawn, `(rows, clusters)`."""
    random = np.random.default_rng(seed)
    for first in range(0, resamples, rows_at_once):
        rows = min(rows_at_once, resamples - first)
        taken = random.integers(0, clusters, (rows, clusters))
        taken += np.arange(rows)[:, None] * clusters
        times = np.bincount(taken.ravel(), minlength=rows * clusters)
        yield times.reshape(rows, clusters).astype(np.float64)


def _ends(drawn: Floats, value: float | None) -> tuple[float, float] | None:
    found = drawn[~np.isnan(drawn)]
    if value is None or not found.size:
        return None
    low, high = np.percentile(found, _PERCENTILES)
    return min(float(low), value), max(float(high), value)


def _p_value(differences: Floats) -> float:
    found = differences[~np.isnan(differences)]
    smaller = min(int((found <= 0).sum()), int((found >= 0).sum()))
    return min(1.0, 2 * (smaller + 1) / (found.size + 1))
