"""From which probability on a tag counts, chosen on pictures that the tagger did not learn from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GRID = np.arange(1, 100) / 100
_PRIOR = 3.0
"""A tag's own pictures count as that many of all tags together: rare tags follow the others."""


def choose_thresholds(probabilities: NDArray[np.floating], shown: NDArray[np.bool_]) -> list[float]:
    """Returns for each tag the threshold with the best F1.

    Counts of a tag are mixed with the mean counts of all tags, so that a tag with few pictures
    takes about the threshold that suits all.

    Args:
        probabilities: (pictures, C) in [0, 1].
        shown: (pictures, C), whether a picture has a tag.
    """
    over = probabilities[None] > _GRID[:, None, None]
    right = (over & shown[None]).sum(axis=1).astype(np.float64)
    said = over.sum(axis=1).astype(np.float64)
    there = np.broadcast_to(shown.sum(axis=0), said.shape).astype(np.float64)
    per_picture = max(1.0, float(there[0].mean()))
    weight = _PRIOR / per_picture
    right, said, there = (
        one + weight * one.mean(axis=1, keepdims=True) for one in (right, said, there)
    )
    f1 = 2 * right / np.maximum(said + there, 1e-9)
    # Of several equally good ones the middle: the next picture may lie on either side.
    best = f1 >= f1.max(axis=0) - 1e-9
    middles = (best * _GRID[:, None]).sum(axis=0) / best.sum(axis=0)
    return [round(float(one), 3) for one in middles]
