"""Carries Swin's relative position tables over to another window size.

A table has one row per offset between two places of a window. The offsets of the old window are
laid at distances that grow geometrically, so that they cover those of the new one, and a cubic
spline runs through them (the method of BEiT, arXiv 2106.08254, appendix). The released weights were
prepared so, with a spline library that no longer has the function.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_Values = NDArray[np.floating[Any]]


def resize_table(table: Tensor, window: int) -> Tensor:
    """Returns a relative position table for another window.

    Args:
        table: ((2v - 1)^2, heads) of a window of v x v places.
        window: Side w of the new window.

    Returns:
        ((2w - 1)^2, heads), in the table's number type.
    """
    old, new = math.isqrt(table.shape[0]), 2 * window - 1
    if old == new:
        return table
    positions = _old_positions(old, new)
    wanted = np.arange(-(new // 2), new // 2 + 1, dtype=np.float64)
    matrix = _spline_matrix(positions, wanted)
    values = table.double().cpu().numpy().reshape(old, old, -1)
    spread = np.einsum("ip,jq,pqh->ijh", matrix, matrix, values)
    resized = torch.from_numpy(spread.reshape(new * new, -1))
    return resized.to(device=table.device, dtype=table.dtype)


def _old_positions(old: int, new: int) -> _Values:
    """Where the old offsets lie, in units of the new ones: distances 1, q, q^2 ... add up."""
    steps, reach = old // 2, new // 2
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        ratio = (low + high) / 2
        if (1 - ratio**steps) / (1 - ratio) > reach:
            high = ratio
        else:
            low = ratio
    distances = np.cumsum(ratio ** np.arange(steps))
    return np.concatenate([-distances[::-1], [0.0], distances])


def _spline_matrix(positions: _Values, wanted: _Values) -> _Values:
    """Returns M so that M @ values is their interpolating spline at the wanted places.

    The spline is cubic without breaks at the second and the last but one position ("not a knot");
    beyond the ends it stays at the end's value.
    """
    degree = min(3, len(positions) - 1)
    inner = positions[2:-2]
    knots = np.concatenate(
        [np.repeat(positions[0], degree + 1), inner, np.repeat(positions[-1], degree + 1)]
    )
    at_positions = _basis(knots, degree, positions)
    at_wanted = _basis(knots, degree, np.clip(wanted, positions[0], positions[-1]))
    matrix: _Values = np.linalg.solve(at_positions.T, at_wanted.T).T
    return matrix


def _basis(knots: _Values, degree: int, places: _Values) -> _Values:
    """Returns the B-splines at some places, (places, splines), by Cox and de Boor's recursion."""
    count = len(knots) - degree - 1
    # The interval that a place lies in; the last place belongs to the last interval of all.
    interval = np.clip(np.searchsorted(knots, places, side="right") - 1, degree, count - 1)
    basis: _Values = (np.arange(len(knots) - 1)[None] == interval[:, None]).astype(np.float64)
    x = places[:, None]
    for order in range(1, degree + 1):
        starts, ends = knots[: -order - 1], knots[order + 1 :]
        rise = _share(x - starts, knots[order:-1] - starts)
        fall = _share(ends - x, ends - knots[1:-order])
        basis = rise * basis[:, :-1] + fall * basis[:, 1:]
    return basis


def _share(parts: _Values, widths: _Values) -> _Values:
    """Returns parts / widths, and 0 where knots coincide."""
    shares: _Values = np.where(widths > 0, parts / np.where(widths > 0, widths, 1), 0)
    return shares
