"""Masks of simple shapes."""

from __future__ import annotations

import numpy as np


def rectangle(left: int, top: int, right: int, bottom: int, side: int) -> np.ndarray:
    """A filled rectangle in a square mask, bool (side, side); right and bottom are excluded."""
    mask = np.zeros((side, side), bool)
    mask[top:bottom, left:right] = True
    return mask
