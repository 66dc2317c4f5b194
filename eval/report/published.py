"""What papers say of the same benchmarks: `published.yaml`, which says itself what a row means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import yaml

Standing = Literal["published", "reproduced by others", "second hand", "unverified"]


@dataclass(frozen=True)
class PublishedRow:
    """What one source says of one system on one benchmark.

    Attributes:
        benchmark: As `lisa eval` names it.
        system: The model as its authors call it, with what it was tuned on.
        figures: Fractions in [0, 1] by the name that our figures have.
        source: Where the numbers were read.
        standing: Whether the authors' own numbers, or who else's.
    """

    benchmark: str
    system: str
    figures: Mapping[str, float]
    source: str
    standing: Standing


def published_for(benchmark: str) -> tuple[PublishedRow, ...]:
    """Return what is published about a benchmark, in the order of the file."""
    return tuple(row for row in read_published() if row.benchmark == benchmark)


@lru_cache
def read_published() -> tuple[PublishedRow, ...]:
    """Read the file."""
    text = files("eval.report").joinpath("published.yaml").read_text(encoding="utf-8")
    return tuple(
        PublishedRow(
            benchmark,
            entry["system"],
            {name: round(percent / 100, 6) for name, percent in figures.items()},
            entry["source"],
            entry.get("standing", "published"),
        )
        for entry in yaml.safe_load(text)["systems"]
        for benchmark, figures in entry["scores"].items()
    )
