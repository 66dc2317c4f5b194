"""How two masks lie to each other, as numbers that a relation model can read beside mask tokens.

Everything is relative to the masks themselves, so neither the size of the picture nor the place of
the pair in it matters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from lisa.contacts import surrounding_shares
from lisa.masks import mask_to_box

GEOMETRY_SIZE = 14
"""Numbers of a pair."""

_WORKING_SIDE = 256
"""Longest side, in pixels, at which borders are compared: what surrounds a mask is a share of the
picture then, whatever the picture's size."""

_FARTHEST = 4.0

BoolMask = NDArray[np.bool_]


def pair_geometry(masks: Sequence[BoolMask]) -> Tensor:
    """Describe each ordered pair of masks of a picture.

    The numbers are: distance of the middles of the boxes from subject to object along a row over
    the mean width, and along a column over the mean height; logarithms of the object's width and
    height over the subject's; share of the subject's box inside the object's, and reverse; share
    of the subject's surroundings that belongs to the object, and reverse (square roots); share of
    the subject's mask that lies in the object's, and reverse; share of what both boxes cover that
    belongs to the subject, and to the object; share of the subject's mask that lies in the convex
    hull of the object's, and reverse: what hides a part of a thing mostly lies in its hull.

    Args:
        masks: N of one size, bool (H, W); there may be none, and empty ones.

    Returns:
        float32 (N, N, G) of subject and object; zeros for a mask with itself and for empty masks.
    """
    count = len(masks)
    found = np.zeros((count, count, GEOMETRY_SIZE))
    if not count:
        return torch.from_numpy(found).float()
    small = [_reduced(mask) for mask in masks]
    boxes = [mask_to_box(mask) for mask in small]
    shares = np.sqrt(surrounding_shares(small))
    areas = [max(1, int(mask.sum())) for mask in small]
    hulls = [_hull(mask) for mask in small]
    for subject, first in enumerate(boxes):
        for other, second in enumerate(boxes):
            if subject == other or first is None or second is None:
                continue
            overlap = int((small[subject] & small[other]).sum())
            left, top, right, bottom = map(int, _common(first, second))
            window = (slice(top, max(top, bottom)), slice(left, max(left, right)))
            common = max(0, right - left) * max(0, bottom - top)
            found[subject, other] = (
                *_distances(first, second),
                *(common / _area(box) for box in (first, second)),
                shares[subject, other],
                shares[other, subject],
                *(overlap / areas[one] for one in (subject, other)),
                *(small[one][window].sum() / max(1, common) for one in (subject, other)),
                (small[subject] & hulls[other]).sum() / areas[subject],
                (small[other] & hulls[subject]).sum() / areas[other],
            )
    return torch.from_numpy(found).float()


def _reduced(mask: BoolMask) -> BoolMask:
    """Return the mask so small that the longest side has 256 pixels; a larger one only."""
    height, width = mask.shape
    scale = _WORKING_SIDE / max(height, width)
    if scale >= 1:
        return mask
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    grey = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)
    # More than nothing, not more than half: a thin thing must not vanish.
    reduced: BoolMask = np.asarray(grey) > 0
    return reduced


def _hull(mask: BoolMask) -> BoolMask:
    """Return the convex hull of a mask; of an empty one nothing."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return mask
    left = mask[rows].argmax(axis=1)
    right = mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    ends = {*zip(left.tolist(), rows.tolist(), strict=True)}
    points = sorted(ends | {*zip(right.tolist(), rows.tolist(), strict=True)})
    corners = [*_chain(points), *_chain(points[::-1])]
    drawn = Image.new("1", (mask.shape[1], mask.shape[0]))
    if len(corners) > 1:
        ImageDraw.Draw(drawn).polygon(corners, fill=1, outline=1)
    hull: BoolMask = np.asarray(drawn) | mask
    return hull


def _chain(points: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return one half of a convex hull (Andrew 1979), without its last corner."""
    chain: list[tuple[int, int]] = []
    for x, y in points:
        while len(chain) > 1:
            (x0, y0), (x1, y1) = chain[-2:]
            if (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) > 0:
                break
            chain.pop()
        chain.append((x, y))
    return chain[:-1]


def _distances(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """Return the distances of the middles, and the logarithms of the sides' quotients."""
    sides = [(box[2] - box[0], box[3] - box[1]) for box in (first, second)]
    apart = [
        (second[i] + second[i + 2] - first[i] - first[i + 2]) / (sides[0][i] + sides[1][i])
        for i in (0, 1)
    ]
    quotients = [float(np.log(sides[1][i] / sides[0][i])) for i in (0, 1)]
    return [min(_FARTHEST, max(-_FARTHEST, number)) for number in (*apart, *quotients)]


def _common(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float, float]:
    """Return the box that both boxes cover; right and bottom lie before left and top for none."""
    return (
        max(first[0], second[0]),
        max(first[1], second[1]),
        min(first[2], second[2]),
        min(first[3], second[3]),
    )


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
