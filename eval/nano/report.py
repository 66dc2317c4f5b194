"""The scores of a run as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

BASELINES = ("largest", "untrained")


def to_markdown(report: dict[str, Any], model: str) -> str:
    """Writes the table: one row per group and subset, gIoU and cIoU of the model and the baselines.

    Args:
        report: Summaries of the model, and of the baselines under "baselines".
        model: Name of the model, for the head of the table.
    """
    systems = [(model, report), *((name, report["baselines"][name]) for name in BASELINES)]
    head = ["questions", *(f"{name} gIoU | cIoU | n" for name, _ in systems)]
    rows = [f"| {' | '.join(head)} |", "|---" * (1 + 3 * len(systems)) + "|"]
    for group in (name for name in report if name != "baselines"):
        rows.append(_row(group, [summary[group] for _, summary in systems]))
        for subset in (name for name, value in report[group].items() if isinstance(value, dict)):
            cells = [summary[group].get(subset, {}) for _, summary in systems]
            rows.append(_row(f"{group}, {subset.replace('_', ' ')}", cells))
    return "\n".join(rows)


def _row(name: str, cells: Sequence[dict[str, Any]]) -> str:
    texts = [name]
    for cell in cells:
        texts += [_shown(cell.get("giou")), _shown(cell.get("ciou")), str(cell.get("n", 0))]
    return f"| {' | '.join(texts)} |"


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
