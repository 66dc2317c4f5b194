"""A picture of how many times better measurements are than their baselines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lisa.errors import DataError
from lisa.measurement import Measurement

_BAR_INCHES = 0.35


def draw_ratios(results: Mapping[str, Mapping[str, Measurement]], path: Path) -> None:
    """Draw one bar for each measurement that has a baseline.

    Args:
        results: By benchmark and name.
        path: Picture to write; its ending decides the format.

    Raises:
        DataError: If nothing was compared, or the picture cannot be written.
    """
    from matplotlib.figure import Figure

    bars = [
        (f"{benchmark}: {what}", one.ratio)
        for benchmark, found in results.items()
        for what, one in found.items()
        if one.ratio is not None
    ]
    if not bars:
        raise DataError("nothing was compared with a baseline: measure segment, train or all.")
    figure = Figure(figsize=(8, 1 + _BAR_INCHES * len(bars)), layout="constrained")
    axes = figure.add_subplot()
    drawn = axes.barh([name for name, _ in bars], [ratio for _, ratio in bars], color="#3b6ea5")
    axes.bar_label(drawn, fmt="%.1f x", padding=3)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("times better than the baseline of the same run")
    axes.spines[["top", "right"]].set_visible(False)
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise DataError(f"the picture {path} cannot be written ({error}).") from error
