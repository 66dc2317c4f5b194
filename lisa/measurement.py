"""Measured numbers: medians of rounds in which all ways of doing a thing take turns.

A package offers its measurements in the entry-point group `lisa.benchmarks`: functions without
arguments that return one `Measurement` a name. `python -m eval.speed` runs them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """A number, and how sure it is.

    Attributes:
        median: Of its rounds.
        spread: From the first quartile of the rounds to the third; 0 for a single one.
        unit: Of both, such as "s".
        ratio: How many times better it is than the baseline of the same run (median of the rounds'
            own ratios), above 1 where it is better; None without a baseline.
    """

    median: float
    spread: float
    unit: str
    ratio: float | None = None

    @classmethod
    def of(
        cls,
        values: Sequence[float],
        unit: str,
        baseline: Sequence[float] | None = None,
        *,
        more_is_better: bool = False,
    ) -> Measurement:
        """Sum up rounds.

        Args:
            values: One a round; at least one.
            unit: Of them.
            baseline: What the other way took in the same rounds.
            more_is_better: Rates are better if they are higher, times and sizes if they are lower.
        """
        ratio = None
        if baseline is not None:
            pairs = zip(values, baseline, strict=True)
            ratio = statistics.median(a / b if more_is_better else b / a for a, b in pairs)
        return cls(statistics.median(values), _spread(values), unit, ratio)


def _spread(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return third - first


def in_turns(
    ways: Sequence[Callable[[], float]], rounds: int, warm_up: int = 1
) -> list[list[float]]:
    """Measure several ways in turns, so that a busy machine slows all of them down.

    Standard error shows how far it is.

    Args:
        ways: Each does its work once and returns a number.
        rounds: How often each counts.
        warm_up: How often each goes first without counting.

    Returns:
        The numbers of each way, one a round.
    """
    from tqdm import tqdm

    numbers: list[list[float]] = [[] for _ in ways]
    for number in tqdm(range(warm_up + rounds), unit="round", leave=False):
        for way, found in zip(ways, numbers, strict=True):
            value = way()
            if number >= warm_up:
                found.append(value)
    return numbers


def seconds(work: Callable[[], object]) -> float:
    """Return how long some work takes, that of a GPU included."""
    import torch

    begun = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun
