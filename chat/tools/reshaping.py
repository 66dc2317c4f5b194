"""The borders of masks, and masks that grow and shrink by a distance: exact, and quick where large.

What is far from a border does not change, so only the pixels of the border are worked on.
"""

from __future__ import annotations

from math import isqrt

import numpy as np
from numpy.typing import NDArray

BoolMask = NDArray[np.bool_]


def border(mask: BoolMask) -> BoolMask:
    """Return the pixels of a mask beside (not across a corner of) one that is not of it.

    The edge of the picture is no border.
    """
    padded = np.pad(mask, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    found: BoolMask = mask & ~inner
    return found


def grown(mask: BoolMask, radius: int) -> BoolMask:
    """Return a mask with every pixel of the picture that is within `radius` pixels of it.

    Args:
        mask: bool (H, W).
        radius: Of a round brush, in pixels, 0 or more.
    """
    height, width = mask.shape
    rows, columns = np.nonzero(border(mask))
    bigger = mask.copy()
    if not len(rows):
        return bigger
    top, bottom = max(0, rows.min() - radius), min(height, rows.max() + radius + 1)
    left, right = columns.min() - radius, columns.max() + radius + 1
    # Where along each row the brush comes down, 1, and where it is lifted again, -1.
    strokes = np.zeros((bottom - top, right - left + 1), np.int32)
    for step in range(-radius, radius + 1):
        reach = isqrt(radius * radius - step * step)
        inside = (rows + step >= top) & (rows + step < bottom)
        at, along = rows[inside] + step - top, columns[inside] - left
        strokes[at, along - reach] += 1
        strokes[at, along + reach + 1] -= 1
    painted = strokes.cumsum(axis=1, dtype=np.int32)[:, :-1] > 0
    first, last = max(0, left), min(width, right)
    bigger[top:bottom, first:last] |= painted[:, first - left : last - left]
    return bigger


def shrunk(mask: BoolMask, radius: int) -> BoolMask:
    """Return those pixels of a mask that are further than `radius` pixels from all others.

    What lies outside the picture counts as not of the mask.
    """
    smaller = np.zeros_like(mask)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return smaller
    inside = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    outside = np.pad(~mask[inside], radius, constant_values=True)
    height, width = mask[inside].shape
    kept = ~grown(outside, radius)[radius : radius + height, radius : radius + width]
    smaller[inside] = kept
    return smaller


def gap(first: BoolMask, second: BoolMask) -> float:
    """Return how many pixels lie between two masks: 0 if they overlap or touch.

    It is the shortest distance between the middle of a pixel of one and the middle of a pixel of
    the other, less one: two pixels side by side have nothing between them.

    Args:
        first: bool (H, W) with a pixel.
        second: Of the same size, with a pixel.
    """
    if (first & second).any():
        return 0.0
    nearest = _distance_along_rows(first)
    rows, columns = np.nonzero(border(second))
    best = np.inf
    for step in range(len(first)):
        if step * step >= best:
            break
        for row in {step, -step}:
            inside = (rows + row >= 0) & (rows + row < len(first))
            along = nearest[rows[inside] + row, columns[inside]]
            best = min(best, float(along.min(initial=np.inf)) ** 2 + step * step)
    return float(max(0.0, best**0.5 - 1))


def _distance_along_rows(mask: BoolMask) -> NDArray[np.float32]:
    """Return how far each pixel is from the next pixel of a mask in its row; inf if it has none."""
    width = mask.shape[1]
    places = np.arange(width, dtype=np.float32)
    before = np.maximum.accumulate(np.where(mask, places, -np.inf), axis=1)
    behind = np.minimum.accumulate(np.where(mask, places, np.inf)[:, ::-1], axis=1)[:, ::-1]
    distance: NDArray[np.float32] = np.minimum(places - before, behind - places)
    return distance
