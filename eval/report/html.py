"""A report as one page that needs no network: scores, and the worst samples with their pictures.

What comes from data is escaped, and the page forbids every script but its own.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from PIL import Image

from eval.answer_pictures import draw_strip
from eval.metrics import Figure
from eval.report.markdown import (
    PUBLISHED_HEADING,
    asked_facts,
    every_group,
    run_rows,
    short_head,
    short_rows,
    value_of,
    with_interval,
)
from eval.report.samples import worst_first
from eval.report.scores import MASKS, GroupScores
from eval.results import Result
from lisa.errors import LisaError
from lisa.images import open_image

if TYPE_CHECKING:
    from eval.report.report import Report

_QUALITY = 78
_GREY = (128, 128, 128)


def write_page(report: Report, results: Sequence[Result], samples: int) -> str:
    """Return the page.

    Args:
        report: What it shows.
        results: Answers behind it, with their masks.
        samples: Most of them to show, the worst of every group first.
    """
    shown = worst_first(results, samples)
    style, script = _own("page.css"), _own("page.js")
    header = report.header
    number = sum(one.n for one in report.groups.values())
    summary = f"{number:,} answers, protocol {header.protocol.replace('_', '-')}; {header.source}"
    title = f"{header.benchmark}: {header.system}"
    parts = {
        "policy": f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{_digest(script)}'",
        "title": _shown(title),
        "summary": _shown(summary),
        "style": style,
        "script": script,
        "scores": _scores(report),
        "details": _details(report),
        "chosen": _chosen(len(shown), len(results)),
        "groups": _options(one.group for one in shown),
        "subsets": _options(name for one in shown for name in one.subsets),
        "cards": "\n".join(_card(one) for one in shown),
    }
    return Template(_own("page.html")).substitute(parts)


def _own(name: str) -> str:
    return files("eval.report").joinpath("page", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _shown(text: object) -> str:
    """Escape what comes from data; what would steer the direction of writing is dropped."""
    return escape("".join(c if c.isprintable() or c in "\n\t" else " " for c in str(text)))


def _chosen(shown: int, every: int) -> str:
    if not every:
        return "Samples with pictures are shown for masks only."
    if shown == every:
        return f"All {every:,} answers."
    return f"{shown:,} of {every:,} answers, the worst of each group."


def _options(names: object) -> str:
    assert hasattr(names, "__iter__")
    return "".join(
        f'<option value="{_shown(name)}">{_shown(str(name).replace("_", " "))}</option>'
        for name in sorted(set(names))
    )


def _scores(report: Report) -> str:
    if report.header.task != MASKS:
        return "".join(
            f"<h3>{_shown(name)}</h3>{_figures(scores)}" for name, scores in report.groups.items()
        )
    rows = []
    for row in short_rows(report):
        words = _shown((row.subset or row.name).replace("_", " "))
        first, *others = row.figures
        cells = [
            f'<td class="{"subset" if row.subset else "words"}">{words}</td><td>{row.n}</td>'
            f"<td>{with_interval(first)}{_bar(first)}</td>",
            *(f"<td>{value_of(one)}</td>" for one in others),
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return _table([_shown(one) for one in short_head(report)], rows)


def _bar(figure: Figure) -> str:
    if figure.value is None:
        return ""
    line = ""
    if figure.low is not None and figure.high is not None:
        width = 100 * (figure.high - figure.low)
        line = f'<b style="left:{100 * figure.low:.1f}%;width:{width:.1f}%"></b>'
    fill = f'<i style="width:{100 * figure.value:.1f}%"></i>'
    return f'<span class="bar" aria-hidden="true">{fill}{line}</span>'


def _table(head: Sequence[str], rows: Sequence[str]) -> str:
    cells = "".join(f'<th scope="col">{one}</th>' for one in head)
    return f'<div class="scroll"><table><tr>{cells}</tr>{"".join(rows)}</table></div>'


def _figures(scores: GroupScores) -> str:
    rows = [
        f'<tr><td>{_shown(family.replace("_", "-"))}</td><td class="words">{_shown(one.name)}</td>'
        f"<td>{with_interval(one, 4)}</td><td>{one.n}</td>"
        f'<td class="words">{_shown(one.note)}</td></tr>'
        for family, figures in scores.figures.items()
        for one in figures
    ]
    return _table(("scores", '<span class="words">figure</span>', "value", "n", "note"), rows)


def _details(report: Report) -> str:
    parts = [("What was asked, and how", _pairs(list(asked_facts(report))))]
    if report.published:
        parts.append((PUBLISHED_HEADING, _published(report)))
    if report.header.task == MASKS:
        every = "".join(
            f"<h3>{_shown(name if subset is None else f'{name}, {subset}')}</h3>{_figures(scores)}"
            for name, subset, scores in every_group(report.groups)
        )
        parts.append(("Every figure", every))
    if report.damaged:
        named = "".join(f"<li>{_shown(one)}</li>" for one in report.damaged)
        parts.append((f"Left out, because damaged: {len(report.damaged)}", f"<ul>{named}</ul>"))
    if report.unanswered:
        named = "".join(f"<li>{_shown(one)}</li>" for one in report.unanswered)
        words = f"Without an answer, counted as no mask: {len(report.unanswered)}"
        parts.append((words, f"<ul>{named}</ul>"))
    if report.run is not None:
        parts.append(("The run", _pairs(list(run_rows(report.run)))))
    return "\n".join(
        f"<details><summary>{_shown(title)}</summary>{body}</details>" for title, body in parts
    )


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    rows = [
        f'<tr><td>{_shown(name)}</td><td class="words">{_shown(value)}</td></tr>'
        for name, value in pairs
    ]
    return f'<div class="scroll"><table>{"".join(rows)}</table></div>'


def _published(report: Report) -> str:
    names = list(dict.fromkeys(name for row in report.published for name in row.figures))
    rows = []
    for row in report.published:
        values = [f"{row.figures[name]:.3f}" if name in row.figures else "–" for name in names]
        cells = "".join(f"<td>{value}</td>" for value in values)
        words = (row.standing, row.source)
        cells += "".join(f'<td class="words">{_shown(one)}</td>' for one in words)
        rows.append(f"<tr><td>{_shown(row.system)}</td>{cells}</tr>")
    return _table(["system", *map(_shown, names), "standing", "source"], rows)


def _card(result: Result) -> str:
    absent = not result.counts.target
    subsets = escape(json.dumps(list(result.subsets)))
    lines = [
        ("asked", "", result.question),
        ("answer", "", result.answer),
        ("IoU", "iou", f"{result.counts.iou:.3f}{', not in the picture' if absent else ''}"),
        ("group", "", ", ".join((result.group, *result.subsets)).replace("_", " ")),
        ("key", "key", result.key),
    ]
    words = "".join(
        f'<dt>{name}</dt><dd class="{kind}"><bdi>{_shown(value)}</bdi></dd>'
        for name, kind, value in lines
        if value is not None
    )
    return (
        f'<article tabindex="0" data-group="{_shown(result.group)}" data-subsets="{subsets}" '
        f'data-absent="{"yes" if absent else "no"}" data-iou="{result.counts.iou:.6f}" '
        f'data-key="{_shown(result.key)}">{_picture(result)}<dl>{words}</dl></article>'
    )


def _picture(result: Result) -> str:
    if result.masks is None:
        return ""
    try:
        target, given = result.masks.truth().mask, result.masks.given()
    except LisaError as error:
        return f'<p class="note">{_shown(error)}</p>'
    image, words = _open(result), "picture"
    if image is None:
        height, width = result.masks.size
        image, words = Image.new("RGB", (width, height), _GREY), "picture not at hand"
    file = io.BytesIO()
    draw_strip(image, target, given).save(file, "JPEG", quality=_QUALITY)
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<div class="panels"><span>{words}</span><span class="right">right mask</span>'
        f'<span class="given">given mask</span></div><img alt="{words}, right mask and given mask '
        f'side by side" loading="lazy" src="data:image/jpeg;base64,{data}">'
    )


def _open(result: Result) -> Image.Image | None:
    """Open the picture, if it still lies where it lay and is of the masks' size."""
    assert result.masks is not None
    if result.file is None:
        return None
    try:
        image = open_image(Path(result.file))
    except LisaError:
        return None
    return image if (image.height, image.width) == tuple(result.masks.size) else None
