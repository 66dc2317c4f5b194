"""A scene graph drawn over its picture: masks, names, and an arrow for each relation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from lisa.relations.graph import SceneGraph
from lisa.types import Segment
from lisa.visualize import COLOURS, Colour, draw_label, draw_segments

Point = tuple[float, float]

_SHOWN = 12
"""How many relations a drawing shows: more hide each other."""


def draw_scene_graph(image: Image.Image, graph: SceneGraph, *, most: int = _SHOWN) -> Image.Image:
    """Draw segments, and an arrow from subject to object with the predicate on it.

    Args:
        image: The picture that the masks lie on, RGB.
        graph: Its scene graph.
        most: How many relations are drawn, the first ones; only segments that take part in one are
            drawn then. Without relations all segments are.

    Returns:
        A new RGB picture of the same size.

    Raises:
        DataError: If a mask's size is not the picture's.
    """
    shown = graph.relations[:most]
    used = {place for one in shown for place in (one.subject, one.object)}
    named = [
        replace(segment, phrase=None if graph.names is None else graph.names[place])
        if not shown or place in used
        else _hidden(segment)
        for place, segment in enumerate(graph.segments)
    ]
    canvas = draw_segments(image, named, opacity=0.35)
    centres = {place: _centre(graph.segments[place]) for place in used}
    labels: dict[tuple[int, int], list[str]] = {}
    for one in shown:
        labels.setdefault((one.subject, one.object), []).append(one.predicate)
    for subject, thing in labels:
        draw_arrow(canvas, centres[subject], centres[thing], colour_of(subject))
    for (subject, thing), words in labels.items():
        # Not in the middle: the arrow back would have its words there too.
        at = _between(centres[subject], centres[thing], 0.4)
        draw_label(canvas, ", ".join(words), at, colour_of(subject), centred=True)
    return canvas


def colour_of(place: int) -> Colour:
    """Return the colour of a segment by its place."""
    return COLOURS[place % len(COLOURS)]


def draw_arrow(canvas: Image.Image, start: Point, end: Point, colour: Colour) -> None:
    """Draw an arrow with a white seam, so that it is seen on any ground; the canvas is changed."""
    width = max(2, round(min(canvas.size) / 200))
    draw = ImageDraw.Draw(canvas)
    head = _head(start, end, 6.0 * width)
    draw.line((start, end), fill="white", width=width + 2)
    draw.polygon(head, outline="white", width=2)
    draw.line((start, end), fill=colour, width=width)
    draw.polygon(head, fill=colour)


def _head(start: Point, end: Point, length: float) -> list[Point]:
    angle = math.atan2(end[1] - start[1], end[0] - start[0])
    corners = [end]
    for turn in (-0.4, 0.4):
        corners.append(
            (end[0] - length * math.cos(angle + turn), end[1] - length * math.sin(angle + turn))
        )
    return corners


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def _hidden(segment: Segment) -> Segment:
    """Return a segment of which nothing is drawn; the others keep their colours."""
    return replace(segment, mask=np.zeros_like(segment.mask), box=None)


def _centre(segment: Segment) -> Point:
    """Return the pixel (x, y) of the mask that is closest to its centre of mass."""
    pixels = np.argwhere(segment.mask)
    if not len(pixels):
        height, width = segment.mask.shape
        return width / 2, height / 2
    y, x = pixels[((pixels - pixels.mean(axis=0)) ** 2).sum(axis=1).argmin()].tolist()
    return x + 0.5, y + 0.5
