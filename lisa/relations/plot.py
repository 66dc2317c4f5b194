"""A scene graph as a plot of nodes and arrows: a picture by Pillow, or text for Graphviz."""

from __future__ import annotations

import math

from PIL import Image

from lisa.errors import ConfigError
from lisa.relations.drawing import Point, colour_of, draw_arrow
from lisa.relations.graph import SceneGraph
from lisa.visualize import draw_label

_LEAST_SIDE = 100


def plot_graph(graph: SceneGraph, *, side: int = 800, most: int = 30) -> Image.Image:
    """Draw the segments that take part in a relation on a circle, with an arrow for each relation.

    Args:
        graph: A scene graph; without relations the plot shows all segments.
        side: Of the square plot in pixels, at least 100.
        most: How many relations are drawn, the first ones.

    Returns:
        An RGB picture on white ground.

    Raises:
        ConfigError: If the side is too small.
    """
    if side < _LEAST_SIDE:
        raise ConfigError(f"A plot of {side} pixels is too small: ask for {_LEAST_SIDE} or more.")
    shown = graph.relations[:most]
    used = {place for one in shown for place in (one.subject, one.object)}
    nodes = sorted(used) if shown else list(range(len(graph.segments)))
    places = {node: _on_circle(number, len(nodes), side) for number, node in enumerate(nodes)}
    canvas = Image.new("RGB", (side, side), "white")
    edges: dict[tuple[int, int], list[str]] = {}
    for one in shown:
        edges.setdefault((one.subject, one.object), []).append(one.predicate)
    for subject, thing in edges:
        start, end = _shortened(places[subject], places[thing], side / 14)
        draw_arrow(canvas, start, end, colour_of(subject))
    for (subject, thing), words in edges.items():
        (x0, y0), (x1, y1) = places[subject], places[thing]
        at = x0 + 0.4 * (x1 - x0), y0 + 0.4 * (y1 - y0)
        draw_label(canvas, ", ".join(words), at, (238, 238, 238), centred=True)
    for node, place in places.items():
        draw_label(canvas, graph.name(node), place, colour_of(node), centred=True)
    return canvas


def to_dot(graph: SceneGraph) -> str:
    """Return the graph in the language of Graphviz: `dot -Tsvg graph.dot > graph.svg`."""
    lines = ["digraph scene {"]
    lines += [
        f"  {place} [label={_quoted(graph.name(place))}];" for place in range(len(graph.segments))
    ]
    lines += [
        f"  {one.subject} -> {one.object} [label={_quoted(f'{one.predicate} {one.score:.2f}')}];"
        for one in graph.relations
    ]
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'


def _on_circle(number: int, count: int, side: int) -> Point:
    if count == 1:
        return side / 2, side / 2
    angle = 2 * math.pi * number / count - math.pi / 2
    return side * (0.5 + 0.4 * math.cos(angle)), side * (0.5 + 0.4 * math.sin(angle))


def _shortened(start: Point, end: Point, by: float) -> tuple[Point, Point]:
    """Return the line without its ends, which the nodes would cover."""
    (x0, y0), (x1, y1) = start, end
    share = min(0.45, by / max(1e-6, math.dist(start, end)))
    dx, dy = share * (x1 - x0), share * (y1 - y0)
    return (x0 + dx, y0 + dy), (x1 - dx, y1 - dy)
