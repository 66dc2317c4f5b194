"""A comparison as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from eval.metrics import Difference
from eval.report.compare import Comparison
from eval.report.markdown import DASH, SHORT_FIGURES, escape, family_head, key_figures, table
from eval.report.scores import MASKS

_NAMED = 5
_LONGEST = 60


def comparison_text(found: Comparison, most: int) -> str:
    """Return verdicts, differences of the figures, and the samples that changed most.

    Args:
        found: The comparison.
        most: Most samples to list.
    """
    parts = [f"# {escape(found.first.benchmark)}: A and B", table(("", "A", "B"), _sides(found))]
    parts += [_verdicts(found), "## Figures, B less A", _figures(found)]
    if found.changes:
        shown = found.changes[:most]
        title = "All changes" if len(shown) == len(found.changes) else f"The {most} largest changes"
        rows = [
            (
                f"{one.gain:+.3f}",
                f"{one.first:.3f}",
                f"{one.second:.3f}",
                one.key,
                _short(one.question),
                _short(one.answers[0]),
                _short(one.answers[1]),
            )
            for one in shown
        ]
        head = ("B less A", "IoU of A", "IoU of B", "key", "asked", "A said", "B said")
        parts += [f"## {title}, worst and best alike", table(head, rows)]
    for side, keys in (("A", found.only_first), ("B", found.only_second)):
        if keys:
            parts.append(
                f"Only {side} answered {len(keys)} questions, left out here: {_some(keys)}."
            )
    return "\n\n".join(parts)


def _sides(found: Comparison) -> list[tuple[str, str, str]]:
    """What was asked of whom, where the two differ; and always who they are."""
    records = [one.to_record() for one in (found.first, found.second)]
    rows = []
    for name in ("system", "weights", "wording", "max_new_tokens", "limit", "source", "loading"):
        values = [_told(record[name]) for record in records]
        if name == "system" or values[0] != values[1]:
            rows.append((name.replace("_", " "), values[0], values[1]))
    protocol = found.first.protocol.replace("_", "-")
    return [*rows, ("protocol", protocol, protocol)]


def _told(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {one}" for name, one in value.items())
    return DASH if value is None else str(value)


def _verdicts(found: Comparison) -> str:
    lines = [f"- {escape(name)}: {group.verdict}" for name, group in found.groups.items()]
    if len(lines) > 1:
        lines.append(
            "\nThe p-values are of single comparisons: among twenty, one below 0.05 is to be "
            "expected by chance."
        )
    rows = [
        (name, group.n, group.better, group.worse, group.same)
        for name, group in found.groups.items()
    ]
    head = ("group", "n", "B better", "B worse", "same IoU")
    return "\n".join(lines) + "\n\n" + table(head, rows)


def _figures(found: Comparison) -> str:
    wanted = [(MASKS, name) for name in SHORT_FIGURES] + key_figures(found.first.families)
    rows = [
        (group, name if family == MASKS else family_head(family, name), *_cells(one))
        for group, compared in found.groups.items()
        for family, name in wanted
        for one in (compared.find(family, name),)
        if one.first is not None or one.second is not None
    ]
    head = ("group", "figure", "A", "B", "B less A", "95 % interval", "p")
    return table(head, rows)


def _cells(one: Difference) -> tuple[str, ...]:
    interval = DASH if one.low is None else f"{one.low:+.3f} to {one.high:+.3f}"
    values = [DASH if value is None else f"{value:.3f}" for value in (one.first, one.second, one.p)]
    gain = DASH if one.difference is None else f"{one.difference:+.3f}"
    return values[0], values[1], gain, interval, values[2]


def _some(keys: Sequence[str]) -> str:
    named = ", ".join(escape(key) for key in keys[:_NAMED])
    return named if len(keys) <= _NAMED else f"{named} and {len(keys) - _NAMED} more"


def _short(text: str | None) -> str:
    if text is None:
        return DASH
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
