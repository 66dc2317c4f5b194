"""Boxes and points that a planner writes: read out of its text, and in pixels of the picture."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, TypeAlias, TypeGuard

from lisa.tool_calls import ToolCall

Units: TypeAlias = Literal["pixels", "thousandths"]
"""Of what a planner sees: pixels of the picture that it is shown, or of its sides, 0 to 1000."""

SEGMENT = "segment"
MOST_PLACES = 12
_BOX_KEYS = ("bbox_2d", "bbox", "box")
_POINT_KEYS = ("point_2d", "point")
_MAX_TEXT = 20_000
"""Longer texts are no list of places."""

_FENCED = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Scale:
    """From the numbers that a planner writes to pixels of the picture.

    Attributes:
        x: Pixels of one unit along a row.
        y: Pixels of one unit along a column.
    """

    x: float
    y: float

    def call(self, call: ToolCall) -> ToolCall:
        """Return a call of `segment` with its box or points in pixels; any other as it is.

        What is no number stays, for the tool itself to refuse.
        """
        if call.name != SEGMENT:
            return call
        arguments = dict(call.arguments)
        box, points = arguments.get("box"), arguments.get("points")
        if _are_numbers(box, 4):
            x0, y0, x1, y1 = box
            arguments["box"] = [x0 * self.x, y0 * self.y, x1 * self.x, y1 * self.y]
        if isinstance(points, list) and all(_are_numbers(point, 2) for point in points):
            arguments["points"] = [[x * self.x, y * self.y] for x, y in points]
        return ToolCall(call.name, arguments)


def read_places(text: str) -> tuple[ToolCall, ...]:
    """Return a call of `segment` for each box or point of a text that is a JSON list of such.

    Vision-language models that were trained to point write `[{"bbox_2d": [x0, y0, x1, y1]}, ...]`
    or `[{"point_2d": [x, y]}, ...]`, alone or in a fenced block. Of a thing that has both, the box
    is taken. Any other text has none.
    """
    if len(text) > _MAX_TEXT:
        return ()
    fenced = _FENCED.search(text)
    body = (fenced[1] if fenced else text).strip()
    if not body.startswith(("[", "{")):
        return ()
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    records = found if isinstance(found, list) else [found]
    calls = [_place(one) for one in records[:MOST_PLACES] if isinstance(one, dict)]
    return tuple(call for call in calls if call is not None)


def _place(record: Mapping[str, Any]) -> ToolCall | None:
    for key in _BOX_KEYS:
        if _are_numbers(record.get(key), 4):
            return ToolCall(SEGMENT, {"box": list(record[key])})
    for key in _POINT_KEYS:
        if _are_numbers(record.get(key), 2):
            return ToolCall(SEGMENT, {"points": [list(record[key])]})
    return None


def _are_numbers(value: object, count: int) -> TypeGuard[Sequence[float]]:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) == count
        and all(type(one) in (int, float) and isfinite(one) for one in value)
    )
