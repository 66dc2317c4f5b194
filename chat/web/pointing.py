"""Where somebody pointed on the page, read from what the browser sent."""

from __future__ import annotations

from typing import Any, NamedTuple

from lisa.errors import PromptError
from lisa.types import Box


class Pointing(NamedTuple):
    """A box or points, in pixels of the picture.

    Attributes:
        box: `xyxy`.
        points: (x, y).
    """

    box: Box | None = None
    points: tuple[tuple[float, float], ...] | None = None


_MOST_POINTS = 16
_FARTHEST = 1_000_000


def read_pointing(data: Any) -> Pointing:
    """Read `{"box": [x0, y0, x1, y1]}` or `{"points": [[x, y], ...]}`.

    Raises:
        PromptError: If it is neither.
    """
    if isinstance(data, dict):
        if (box := _numbers(data.get("box"), 4)) is not None:
            return Pointing(box=(box[0], box[1], box[2], box[3]))
        points = data.get("points")
        if isinstance(points, list) and 1 <= len(points) <= _MOST_POINTS:
            read = [_numbers(point, 2) for point in points]
            places = tuple((one[0], one[1]) for one in read if one is not None)
            if len(places) == len(points):
                return Pointing(points=places)
    raise PromptError("the place could not be read: click the picture or drag a box on it.")


def _numbers(values: Any, count: int) -> tuple[float, ...] | None:
    if not isinstance(values, list) or len(values) != count:
        return None
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in values):
        return None
    # No picture is so large; not-a-number is not below it either.
    if not all(abs(one) < _FARTHEST for one in values):
        return None
    return tuple(float(one) for one in values)
