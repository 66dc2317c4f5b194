"""Noise on true segments, so that a model meets the ones that a panoptic model will find.

The other way is to match found segments to true ones and learn from those that have a match. It
loses the relations of every thing that is not found; noise keeps them all, and needs no threshold.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.relations.recipe import NoiseSettings


def noised(shares: Tensor, settings: NoiseSettings, generator: torch.Generator) -> Tensor:
    """Grow or shrink masks, and move them a little.

    Args:
        shares: (N, h, w) share of each cell that a mask covers.
        settings: How much.
        generator: Of the random numbers, on the CPU.

    Returns:
        (N, h, w). A mask of which nothing would be left stays as it is.
    """
    return (
        torch.stack([_one(mask, settings, generator) for mask in shares]) if len(shares) else shares
    )


def _one(mask: Tensor, settings: NoiseSettings, generator: torch.Generator) -> Tensor:
    cells = int(torch.randint(-settings.edge, settings.edge + 1, (1,), generator=generator))
    moves = (2 * torch.rand(2, generator=generator) - 1) * settings.shift
    window = 2 * abs(cells) + 1
    # The smallest value in a window is what is left where a mask shrinks.
    sign = -1.0 if cells < 0 else 1.0
    changed = sign * functional.max_pool2d(sign * mask[None], window, 1, abs(cells))[0]
    rows, columns = (mask.any(dim=axis).nonzero()[:, 0] for axis in (1, 0))
    if len(rows):
        sides = (int(place[-1] - place[0]) + 1 for place in (rows, columns))
        y, x = (round(float(move) * side) for move, side in zip(moves, sides, strict=True))
        changed = _shift(changed, y, x)
    return changed if changed.any() else mask


def _shift(mask: Tensor, y: int, x: int) -> Tensor:
    """Move a mask; what leaves the picture is lost, and nothing comes in."""
    height, width = mask.shape
    moved = torch.zeros_like(mask)
    moved[max(0, y) : height + min(0, y), max(0, x) : width + min(0, x)] = mask[
        max(0, -y) : height + min(0, -y), max(0, -x) : width + min(0, -x)
    ]
    return moved


def noised_classes(classes: Tensor, count: int, share: float, generator: torch.Generator) -> Tensor:
    """Give a share of the segments a class at random.

    Args:
        classes: int (N,).
        count: How many classes there are.
        share: Chance of each segment.
        generator: On the CPU.
    """
    drawn = torch.randint(count, classes.shape, generator=generator)
    return torch.where(torch.rand(classes.shape, generator=generator) < share, drawn, classes)
