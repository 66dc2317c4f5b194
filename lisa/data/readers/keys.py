"""Names of records where the data set's own names are not unique."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count


def number_repeats(names: Iterable[str]) -> list[str]:
    """Make names unique and leave them stable: those that occur again get "/1", "/2" ... behind."""
    unique: dict[str, None] = {}
    counters: dict[str, count[int]] = {}
    for name in names:
        free = name
        while free in unique:
            free = f"{name}/{next(counters.setdefault(name, count(1)))}"
        unique[free] = None
    return list(unique)
