"""Precision at IoU thresholds: the share of answers whose IoU reaches a threshold.

An IoU exactly at the threshold counts (`>=`), as in the evaluators of RefCOCO (LAVT) and gRefCOCO
(ReLA).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from eval.metrics.bootstrap import Ratio, mean_over

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


def precision_at(
    ious: ArrayLike, over: ArrayLike | None = None, thresholds: Sequence[float] = THRESHOLDS
) -> list[Ratio]:
    """Return `Pr@0.5` and so on.

    Args:
        ious: `(samples,)` in [0, 1].
        over: `bool (samples,)`, which samples count; None for all.
        thresholds: In (0, 1].
    """
    reached = np.asarray(ious, np.float64)
    return [mean_over(f"Pr@{one:g}", reached >= one, over) for one in thresholds]
