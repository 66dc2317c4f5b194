"""ReasonSeg's polygons as pixels, equal to what LISA was trained and scored on.

OpenCV draws them: its outline belongs to the area, it cuts off the fractions of points, and it
fills self-crossing polygons by turns. 4.11 to 5.0 draw the test vectors alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lisa.errors import DataError, MissingDependencyError
from lisa.types import ImageSize

TARGET: Final = 1
IGNORED: Final = 255
# Far beyond any picture, and near enough for the filling of rows above the picture to end.
_FARTHEST: Final = 1_000_000


@dataclass(frozen=True, eq=False)
class Shape:
    """One polygon.

    Attributes:
        points: `int32 (points, 2)`, x and y in pixels; one or two points draw a dot or a line.
        value: `TARGET` or `IGNORED`.
    """

    points: NDArray[np.int32]
    value: int


@dataclass(frozen=True, eq=False)
class Drawing:
    """All polygons of a picture, drawn once, when the first of its masks is read.

    Attributes:
        shapes: In the order of the file.
        size: Of the picture.
    """

    shapes: tuple[Shape, ...]
    size: ImageSize

    @cached_property
    def labels(self) -> NDArray[np.uint8]:
        """`uint8 (H, W)`: `TARGET`, `IGNORED` or 0 everywhere else."""
        return draw_shapes(self.shapes, self.size)


@dataclass(frozen=True, eq=False)
class DrawnMask:
    """The pixels of a drawing that have one value.

    Attributes:
        drawing: Shared by the masks of a picture.
        value: `TARGET` or `IGNORED`.
    """

    drawing: Drawing
    value: int

    def read(self) -> NDArray[np.bool_]:
        """Return the mask, `bool (H, W)`."""
        mask: NDArray[np.bool_] = self.drawing.labels == self.value
        return mask


def draw_shapes(shapes: Sequence[Shape], size: ImageSize) -> NDArray[np.uint8]:
    """Draw polygons from the largest to the smallest, so that small ones lie on top.

    Among polygons of equal area the earlier one lies on top: that is how the original sorts with
    the numpy release that it pins (newer ones sort equal numbers either way).

    Raises:
        MissingDependencyError: If OpenCV is not installed.
    """
    areas = [np.count_nonzero(_draw(shape, TARGET, _empty(size))) for shape in shapes]
    labels = _empty(size)
    for index in np.argsort(areas, kind="stable")[::-1]:
        _draw(shapes[index], shapes[index].value, labels)
    return labels


def _empty(size: ImageSize) -> NDArray[np.uint8]:
    return np.zeros(size, dtype=np.uint8)


def _draw(shape: Shape, value: int, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    try:
        import cv2
    except ImportError as error:
        raise MissingDependencyError(
            "ReasonSeg's polygons are drawn by OpenCV, which is not installed: run "
            "`pip install 'lisa-assistant[train]'`."
        ) from error
    cv2.polylines(labels, [shape.points], True, [value], 1)
    cv2.fillPoly(labels, [shape.points], [value])
    return labels


def read_shapes(entries: Any) -> tuple[Shape, ...]:
    """Read the `shapes` of an annotation.

    A label that contains "ignore" marks pixels that scores leave out, "flag" is a relic that is
    skipped, anything else is the target; capitals make no difference.

    Args:
        entries: `[{"label": "target", "points": [[x, y], ...]}, ...]`; other keys are left unread.

    Raises:
        DataError: If a shape cannot be read; the sentence gives its place in the list.
    """
    if not isinstance(entries, list):
        raise DataError(f"'shapes' must be a list of polygons, not {entries!r:.80}.")
    shapes = []
    for index, entry in enumerate(entries):
        label = entry.get("label") if isinstance(entry, dict) else None
        if not isinstance(label, str):
            raise DataError(
                f"shapes[{index}] must be an object with 'label' and 'points', not {entry!r:.80}."
            )
        if label.lower() == "flag":
            continue
        points = _read_points(entry.get("points"), index)
        shapes.append(Shape(points, IGNORED if "ignore" in label.lower() else TARGET))
    return tuple(shapes)


def _read_points(points: Any, index: int) -> NDArray[np.int32]:
    if not isinstance(points, list) or not points or not all(map(_is_point, points)):
        raise DataError(
            f"shapes[{index}] cannot be drawn: its 'points' must be one or more [x, y] in pixels, "
            f"not {points!r:.80}."
        )
    # The fraction is cut off, as the original does; -0.5 becomes 0.
    return np.array(points, dtype=np.float64).astype(np.int32)


def _is_point(point: Any) -> bool:
    return (
        isinstance(point, list)
        and len(point) == 2
        and all(isinstance(value, int | float) and not isinstance(value, bool) for value in point)
        and all(math.isfinite(value) and abs(value) <= _FARTHEST for value in point)
    )
