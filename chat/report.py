"""A session as one page that needs neither the program nor a network.

Whatever people or models wrote is escaped, and the page forbids every script; masks are switched on
and off by its style alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from chat.state import SessionPicture, SessionSegment, SessionState, Turn
from chat.web.colours import paint
from chat.web.data_urls import SHOWN_SIDE, mask_url, picture_url
from chat.web.view import relations_of, turn_view
from lisa import __version__

_OPACITY = 120
"""Of a mask on its picture, in [0, 255]."""


def write_report(state: SessionState, title: str = "A conversation about pictures") -> str:
    """Return the page as HTML.

    Args:
        state: Of a session.
        title: Stands above it.
    """
    template = Template(files("chat").joinpath("report.html").read_text(encoding="utf-8"))
    counts = (
        _count(len(state.pictures), "picture"),
        _count(len(state.turns), "question"),
        _count(len(state.segments), "segment"),
    )
    return template.substitute(
        title=escape(title),
        summary=f"{', '.join(counts)}. Written by lisa {escape(__version__)}.",
        toggles="\n".join(_toggle(one) for one in state.segments),
        pictures="\n".join(_figure(one, state) for one in state.pictures),
        relations=_relations(state),
        turns="\n".join(_article(one) for one in state.turns)
        or '<p class="faint">Nothing was asked.</p>',
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _toggle(one: SessionSegment) -> str:
    number = _number(one)
    return f"body:has(#s{number}:not(:checked)) #m{number} {{ display: none; }}"


def _number(one: SessionSegment) -> int:
    return int(one.name[1:])


def _figure(picture: SessionPicture, state: SessionState) -> str:
    here = [one for one in state.segments if one.picture == picture.number]
    width, height = picture.image.size
    area = f'width="{width}" height="{height}"'
    layers = [f'<image {area} href="{picture_url(picture.image)}"/>']
    layers += [f'<image id="m{_number(one)}" {area} href="{_tinted(one)}"/>' for one in here]
    alt = escape(f"Picture {picture.number}: {picture.name}")
    legend = "".join(f"<li>{_legend(one)}</li>" for one in here)
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" role="img" aria-label="{alt}">'
        f"{''.join(layers)}</svg>"
        f'<figcaption class="faint">{alt}, {width} × {height} pixels</figcaption>'
        f"<ul>{legend}</ul></figure>"
    )


def _tinted(one: SessionSegment) -> str:
    colour = paint(one.name).colour
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return mask_url(one.segment.mask, SHOWN_SIDE, (red, green, blue, _OPACITY))


def _legend(one: SessionSegment) -> str:
    colours = paint(one.name)
    share = f"{100 * one.segment.mask.mean():.1f} %"
    return (
        f'<label style="background: {colours.colour}; color: {colours.ink}">'
        f'<input type="checkbox" id="s{_number(one)}" checked>{escape(one.label)} · {share}</label>'
    )


def _relations(state: SessionState) -> str:
    labels = {one.name: one.label for one in state.segments}
    found = relations_of((turn.steps for turn in state.turns), set(labels))
    if not found:
        return ""
    lines = [
        f"{labels[one['subject']]} {one['predicate']} {labels[one['object']]}" for one in found
    ]
    listed = "".join(f'<li class="chip none">{escape(line)}</li>' for line in lines)
    return f"<h2>Relations</h2><ul>{listed}</ul>"


def _article(turn: Turn) -> str:
    view = turn_view(turn)
    steps = "".join(_step(one) for one in view["steps"])
    said = "".join(_pieces(view["pieces"]))
    note = f'<p class="faint">{escape(view["note"])}</p>' if view["note"] else ""
    pointed = "".join(_chip(one) for one in view["pointed"])
    return (
        f'<article><p class="asked">{pointed} {escape(turn.question)}</p>{steps}'
        f'<p class="said">{said}</p>{note}'
        f'<p class="faint">about picture {turn.picture}</p></article>'
    )


def _step(one: dict[str, Any]) -> str:
    if one["kind"] == "thought":
        return f"<details><summary>thought</summary><p>{escape(one['text'])}</p></details>"
    failed = " (failed)" if one["failed"] else ""
    return (
        f"<details><summary><b>{escape(one['tool'])}</b> {escape(one['words'])}{failed}</summary>"
        f"<p>{escape(one['text'])}</p><pre>{escape(one['arguments'])}</pre></details>"
    )


def _pieces(pieces: list[dict[str, Any]]) -> Iterator[str]:
    for piece in pieces:
        if "text" in piece:
            yield escape(piece["text"])
        elif piece["chip"] is not None:
            yield _chip(piece["chip"])


def _chip(one: dict[str, Any]) -> str:
    if not one["name"]:
        return f'<span class="chip none">{escape(one["label"])}</span>'
    style = f"background: {one['colour']}; color: {one['ink']}"
    return f'<span class="chip" style="{style}">{escape(one["label"])}</span>'
