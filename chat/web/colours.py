"""Colours of segments: by the number in their name, the same on the page and in the report."""

from __future__ import annotations

from typing import NamedTuple

from lisa.visualize import COLOURS

_BRIGHT = 150
"""Of 255; black letters are read better on a colour that is brighter."""


class Paint(NamedTuple):
    """How a segment is drawn.

    Attributes:
        colour: CSS colour.
        ink: CSS colour of letters on it.
    """

    colour: str
    ink: str


def paint(name: str) -> Paint:
    """Return how a segment of this name ("#1", "#2" …) is drawn; without a name it is grey."""
    if not name:
        return Paint("#767b82", "#ffffff")
    red, green, blue = COLOURS[(int(name[1:]) - 1) % len(COLOURS)]
    bright = 0.299 * red + 0.587 * green + 0.114 * blue > _BRIGHT
    return Paint(f"#{red:02x}{green:02x}{blue:02x}", "#14181c" if bright else "#ffffff")
