"""Places of a picture that a person points at."""

from __future__ import annotations

from collections.abc import Sequence

from chat.state import SessionPicture
from lisa.errors import PromptError
from lisa.types import Box


def check_place(
    picture: SessionPicture, box: Box | None, points: Sequence[tuple[float, float]] | None
) -> None:
    """Refuse what points at nothing.

    Args:
        picture: That is pointed at.
        box: `xyxy` in pixels, or None.
        points: (x, y) in pixels, or None.

    Raises:
        PromptError: Neither or both are given, or they do not lie on the picture.
    """
    if (box is None) == (not points):
        raise PromptError("pointing takes a box or points, and one of the two only.")
    width, height = picture.image.size
    corners = (points or ()) if box is None else ((box[0], box[1]), (box[2], box[3]))
    if not all(0 <= x <= width and 0 <= y <= height for x, y in corners):
        raise PromptError(
            f"a point lies outside picture {picture.number} of {width} x {height} pixels."
        )
    if box is not None and not (box[0] < box[2] and box[1] < box[3]):
        raise PromptError("a box is (x0, y0, x1, y1) with x0 < x1 and y0 < y1.")
