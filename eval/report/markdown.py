"""Reports as Markdown: one short table for a terminal or a README, and everything for a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eval.metrics import Figure
from eval.report.published import PublishedRow
from eval.report.run_facts import RunFacts
from eval.report.scores import MASKS, GroupScores

if TYPE_CHECKING:
    from eval.report.report import Report

DASH = "–"
PUBLISHED_HEADING = "Published, not measured here"
SHORT_FIGURES = {
    "gIoU": "gIoU",
    "cIoU": "cIoU",
    "Pr@0.5": "Pr@0.5",
    "emission rate": "points at",
    "false-positive rate": "false positives",
}
"""Figures of the short table that all masks have, with the words above their columns."""

_WITH_IOU = {"gres": ("gIoU", "cIoU", "N-acc", "T-acc"), "ref_zom": ("oIoU", "mIoU", "Acc")}
OF_ONE_CLASS = ": "
"""Stands in the names of figures of a single class, such as `AP: cup`."""

_KEY_FIGURES = {
    **_WITH_IOU,
    "groups": ("accuracy", "groups entirely right"),
    "instances": ("AP", "AP50"),
}
"""Figures of the short table that only some benchmarks have, by family."""


def short_table(report: Report) -> str:
    """Return one row per group and subset, with the figures that most readers want.

    gIoU has its 95 % interval; the figures of further families and the gIoU of baselines follow.
    """
    if report.header.task != MASKS:
        return "\n\n".join(_long_groups(report.groups, summaries_only=True))
    rows = [
        (
            row.name if row.subset is None else f"{row.name}, {row.subset.replace('_', ' ')}",
            row.n,
            with_interval(row.figures[0]),
            *(value_of(one) for one in row.figures[1:]),
        )
        for row in short_rows(report)
    ]
    return table(short_head(report), rows)


@dataclass(frozen=True)
class ShortRow:
    """A row of the short table.

    Attributes:
        name: Of a group.
        subset: Of the group; None for all of it.
        n: Number of answers.
        figures: Below the words of `short_head` behind "n"; gIoU is the first.
    """

    name: str
    subset: str | None
    n: int
    figures: tuple[Figure, ...]


def short_head(report: Report) -> list[str]:
    """Return the words above the columns of the short table."""
    own = [family_head(family, name) for family, name in key_figures(report.header.families)]
    baselines = [f"{name} gIoU" for name in report.baselines]
    return ["group", "n", *SHORT_FIGURES.values(), *own, *baselines]


def short_rows(report: Report) -> Iterator[ShortRow]:
    """Yield the rows of the short table."""
    wanted = [(MASKS, name) for name in SHORT_FIGURES] + key_figures(report.header.families)
    for name, subset, scores in every_group(report.groups):
        figures = [scores.find(family, figure) for family, figure in wanted]
        figures += [one.find(MASKS, "gIoU") for one in report.beside(name, subset)]
        yield ShortRow(name, subset, scores.n, tuple(figures))


def key_figures(families: Sequence[str]) -> list[tuple[str, str]]:
    """Return the figures that a short table has of some families: family and name."""
    return [(one, name) for one in families for name in _KEY_FIGURES.get(one, ())]


def family_head(family: str, figure: str) -> str:
    """Return the words above a figure of a family, which tell two gIoU from each other."""
    return f"{figure} ({_shown(family)})" if family in _WITH_IOU else figure


def _shown(family: str) -> str:
    return family.replace("_", "-")


def every_group(
    groups: Mapping[str, GroupScores],
) -> Iterator[tuple[str, str | None, GroupScores]]:
    """Yield every group and, behind it, its subsets: name, subset (None for all of it), scores."""
    for name, scores in groups.items():
        yield name, None, scores
        for subset, part in scores.subsets.items():
            yield name, subset, part


def long_report(report: Report) -> str:
    """Return the whole report: the short table, what was asked, every figure, costs, damage."""
    parts = [
        f"# {escape(report.header.benchmark)}: {escape(report.header.system)}",
        short_table(report),
        "All figures are fractions. A figure's 95 % interval comes from the bootstrap over "
        "pictures.",
        "## What was asked, and how",
        table(("", ""), list(asked_facts(report))),
    ]
    if report.published:
        parts += [f"## {PUBLISHED_HEADING}", published_table(report.published)]
    parts += ["## Every figure", *_long_groups(report.groups)]
    for name, groups in report.baselines.items():
        parts += [f"## Baseline: {escape(name)}", *_long_groups(groups)]
    if report.damaged:
        parts += ["## Left out, because damaged", _list([str(one) for one in report.damaged])]
    if report.unanswered:
        parts += ["## Without an answer, counted as no mask", _list(report.unanswered)]
    if report.run is not None:
        parts += ["## The run", table(("", ""), list(run_rows(report.run)))]
    return "\n\n".join(parts)


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)


def _long_groups(groups: Mapping[str, GroupScores], *, summaries_only: bool = False) -> list[str]:
    """Return a table for each group; figures of single classes can be left out of it."""
    parts = []
    for name, subset, scores in every_group(groups):
        title = name if subset is None else f"{name}, {subset.replace('_', ' ')}"
        rows = [
            (
                family.replace("_", "-"),
                one.name,
                value_of(one, 4),
                _interval(one, 4),
                one.n,
                one.note,
            )
            for family, figures in scores.figures.items()
            for one in figures
            if not (summaries_only and OF_ONE_CLASS in one.name)
        ]
        head = ("scores", "figure", "value", "95 % interval", "n", "note")
        parts += [f"### {escape(title)} ({scores.n} answers)", table(head, rows)]
    return parts


def asked_facts(report: Report) -> Iterator[tuple[str, str]]:
    """Yield what was asked of whom, name and value."""
    header = report.header
    facts = {
        "benchmark": header.benchmark,
        "data": header.source,
        "system": header.system,
        "weights": header.weights,
        "protocol": header.protocol,
        "wording": header.wording,
        "longest answer": header.max_new_tokens and f"{header.max_new_tokens} tokens",
        "questions of a group": header.limit and f"at most {header.limit}, evenly spread",
        **{name.replace("_", " "): value for name, value in header.loading.items()},
    }
    for name, value in facts.items():
        if value:
            yield name, str(value)


def run_rows(run: RunFacts) -> Iterator[tuple[str, str]]:
    """Yield what a run cost, name and value."""
    yield "seconds", f"{run.seconds:,.1f}"
    yield "seconds of all answers", f"{run.answer_seconds:,.1f}"
    yield "processes", str(run.processes)
    yield "questions at once", str(run.batch_size)
    yield "device", run.device
    for name, peak in (("memory", run.host_peak_bytes), ("GPU memory", run.device_peak_bytes)):
        if peak is not None:
            yield f"peak {name}", f"{peak / 2**30:.2f} GiB"
    for name, number in run.versions.items():
        yield name, number


def published_table(rows: Sequence[PublishedRow]) -> str:
    """Return what papers say, one row a system."""
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    lines = [
        (
            row.system,
            *(f"{row.figures[name]:.3f}" if name in row.figures else DASH for name in names),
            row.standing,
            row.source,
        )
        for row in rows
    ]
    return table(("system", *names, "standing", "source"), lines)


def value_of(figure: Figure, digits: int = 3) -> str:
    """Return a figure's value, or a dash."""
    return DASH if figure.value is None else f"{figure.value:.{digits}f}"


def with_interval(figure: Figure, digits: int = 3) -> str:
    """Return a figure's value with its interval, as far as there are."""
    interval = _interval(figure, digits)
    return f"{value_of(figure, digits)} ({interval})" if interval else value_of(figure, digits)


def _interval(figure: Figure, digits: int) -> str:
    if figure.low is None or figure.high is None:
        return ""
    return f"{figure.low:.{digits}f}–{figure.high:.{digits}f}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; cells are escaped."""
    lines = [[escape(str(cell)) for cell in line] for line in (head, *rows)]
    lines.insert(1, ["---"] * len(head))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape(text: str) -> str:
    """Make text from data harmless in Markdown and on a terminal."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    for mark in "\\|`<>[]":
        shown = shown.replace(mark, f"\\{mark}")
    return shown
