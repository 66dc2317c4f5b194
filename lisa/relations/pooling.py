"""Object features: the mean of a map of features over a mask."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


def coverage(masks: Iterable[NDArray[np.bool_]], size: tuple[int, int]) -> Tensor:
    """Return which share of each cell of a grid every mask covers.

    Args:
        masks: bool (H, W) each; the grid spans the whole picture.
        size: (h, w) of the grid.

    Returns:
        float32 (N, h, w) in [0, 1]; no mask with a pixel is 0 everywhere.
    """
    # One by one: masks of a large picture all at once, as numbers, would be gigabytes.
    shares = [
        functional.interpolate(torch.from_numpy(mask)[None, None].float(), size, mode="area")[0, 0]
        for mask in masks
    ]
    return torch.stack(shares) if shares else torch.zeros(0, *size)


def pool(features: Tensor, shares: Tensor) -> Tensor:
    """Return the mean of the features under each mask.

    Args:
        features: (C, h, w).
        shares: (N, h, w), as `coverage` returns them, on any device.

    Returns:
        float32 (N, C) on the features' device; zeros for a mask that covers nothing.
    """
    weights = shares.to(features.device).flatten(1)
    sums = weights @ features.float().flatten(1).T
    return sums / weights.sum(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
