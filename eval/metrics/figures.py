"""What every family of metrics returns: named numbers, each with its interval.

All values are fractions (0.5, not 50 %); a report formats them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One number of a report.

    Attributes:
        name: As the field writes it: `gIoU`, `Pr@0.5`, `R@20`.
        value: In [0, 1]; None where no sample counts towards it.
        low: Lower end of its 95 % interval; None where there is no interval: without a value, and
            with fewer than two samples that are independent of each other.
        high: Upper end of it.
        n: How many samples count towards it.
        note: What a reader must know to compare it; empty if nothing.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    note: str = ""


@dataclass(frozen=True)
class Difference:
    """The same figure of two systems that were asked the same.

    Attributes:
        name: Of the figure.
        first: Value of the first system; None where no sample counts.
        second: Value of the second system.
        difference: `second - first`.
        low: Lower end of the difference's 95 % interval; None as in `Figure`.
        high: Upper end of it.
        p: Two-sided p-value in (0, 1]; None without an interval.
        n: How many samples count towards the first system's figure.
    """

    name: str
    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
