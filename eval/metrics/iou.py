"""gIoU and cIoU of predicted masks, from one small record of pixel counts per answer.

gIoU is the mean of the answers' IoUs; cIoU is the sum of all intersections over the sum of all
unions, so large objects weigh more (LISA, section 4.1). Records of any number of runs or processes
are merged by putting their lists together: sums are exact, so neither order nor grouping matters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lisa.errors import DataError

# What the released evaluation adds to its denominators, against division by zero.
_UNION_EPSILON = 1e-5
COUNT_EPSILON = 1e-5
TOTAL_EPSILON = 1e-10


@dataclass(frozen=True)
class PixelCounts:
    """What one answer contributes to every score.

    Attributes:
        intersection: Pixels in both the predicted and the true mask.
        union: Pixels in either.
        target: Pixels of the true mask.
    """

    intersection: int
    union: int
    target: int

    @property
    def iou(self) -> float:
        """Intersection over union in [0, 1]; two empty masks agree perfectly and give 1."""
        return self.intersection / self.union if self.union else 1.0


@dataclass(frozen=True)
class IouScores:
    """Scores over a group of answers.

    Attributes:
        giou: Mean IoU in [0, 1]; None for a group without answers.
        ciou: Cumulative IoU in [0, 1]; None for a group without answers.
        n: Number of answers.
    """

    giou: float | None
    ciou: float | None
    n: int


def count_pixels(
    prediction: ArrayLike, target: ArrayLike, ignore: ArrayLike | None = None
) -> PixelCounts:
    """Counts what a predicted and a true mask share.

    Args:
        prediction: `bool (H, W)`.
        target: `bool (H, W)`.
        ignore: `bool (H, W)`, pixels that count for neither mask.

    Raises:
        DataError: The shapes differ, or an array is not boolean.
    """
    predicted, true = _as_mask(prediction, "prediction"), _as_mask(target, "target")
    counted = None if ignore is None else ~_as_mask(ignore, "ignore")
    for other in (true, counted):
        if other is not None and other.shape != predicted.shape:
            raise DataError(
                f"masks of {predicted.shape} and {other.shape} cannot be compared: bring the "
                "prediction to the size of the original picture first."
            )
    if counted is not None:
        predicted, true = predicted & counted, true & counted
    return PixelCounts(
        intersection=int(np.count_nonzero(predicted & true)),
        union=int(np.count_nonzero(predicted | true)),
        target=int(np.count_nonzero(true)),
    )


def _as_mask(values: ArrayLike, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    array = np.asarray(values)
    if array.dtype != np.bool_:
        raise DataError(
            f"the {name} mask holds {array.dtype} values, not booleans: compare logits with 0 "
            "first."
        )
    return array


def score(records: Iterable[PixelCounts]) -> IouScores:
    """Scores a group of answers.

    Two empty masks have IoU 1 in gIoU and add nothing to cIoU; a group in which every answer is
    such a pair has cIoU 1.
    """
    kept = list(records)
    if not kept:
        return IouScores(None, None, 0)
    # fsum is exactly rounded, so the mean does not depend on the order in which parts were merged.
    giou = math.fsum(record.iou for record in kept) / len(kept)
    union = sum(record.union for record in kept)
    ciou = sum(record.intersection for record in kept) / union if union else 1.0
    return IouScores(giou, ciou, len(kept))


def released_iou(counts: PixelCounts) -> float:
    """Return the IoU of one answer, in [0, 1], as LISA's released evaluation counts it."""
    return counts.intersection / (counts.union + _UNION_EPSILON) + (counts.union == 0)


def score_as_released(records: Iterable[PixelCounts]) -> IouScores:
    """Scores a group of answers with the arithmetic of LISA's released evaluation.

    It differs from `score` by the small constants in its denominators, and in that a group with
    empty unions only has cIoU 0. Use it to compare with published numbers digit by digit.
    """
    kept = list(records)
    if not kept:
        return IouScores(None, None, 0)
    giou = math.fsum(map(released_iou, kept)) / (len(kept) + COUNT_EPSILON)
    union = sum(record.union for record in kept)
    ciou = sum(record.intersection for record in kept) / (union + TOTAL_EPSILON)
    return IouScores(giou, ciou, len(kept))
