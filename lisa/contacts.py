"""How masks border on each other: the share of what surrounds one that belongs to another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BoolMask = NDArray[np.bool_]

REACH = 2
"""What lies within so many pixels of a mask, and not in it, surrounds it."""


def surrounding_shares(masks: Sequence[BoolMask], reach: int = REACH) -> NDArray[np.float64]:
    """Return which share of the surroundings of each mask belongs to each other mask.

    Args:
        masks: N masks bool (H, W) of one size.
        reach: The surroundings of a mask are the pixels outside it within so many rows and columns.

    Returns:
        (N, N) in [0, 1]; row: whose surroundings. 0 for a mask with itself, and in the row of one
        that has no surroundings because it is empty or fills the picture. An entry is above 0 if
        and only if the one across the diagonal is, for masks that do not overlap.
    """
    shares = np.zeros((len(masks), len(masks)))
    for row, mask in enumerate(masks):
        around = _grown(mask, reach) & ~mask
        pixels = int(around.sum())
        if pixels:
            shares[row] = [int((around & other).sum()) / pixels for other in masks]
    np.fill_diagonal(shares, 0.0)
    return shares


def _grown(mask: BoolMask, reach: int) -> BoolMask:
    """Return the mask with everything within `reach` rows and columns of it."""
    height, width = mask.shape
    padded = np.pad(mask, reach)
    steps = range(2 * reach + 1)
    rows = np.logical_or.reduce([padded[step : step + height] for step in steps])
    grown: BoolMask = np.logical_or.reduce([rows[:, step : step + width] for step in steps])
    return grown
