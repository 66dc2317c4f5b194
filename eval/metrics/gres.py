"""gRefCOCO: expressions for none, one or many things, as ReLA's evaluator scores them.

Source: "GRES: Generalized Referring Expression Segmentation" (CVPR 2023), section 5, and the
`ReferEvaluator` of henghuiding/ReLA.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eval.metrics.bootstrap import (
    Measurement,
    Ratio,
    from_ratios,
    in_order,
    joined,
    mean_over,
    with_intervals,
)
from eval.metrics.figures import Figure
from eval.metrics.masks import MaskRecord
from eval.metrics.thresholds import precision_at

THRESHOLDS = (0.7, 0.8, 0.9)

FEW_PIXELS = 50
"""A smaller mask is taken for a rejection, where a system has no other way to reject."""

Rejection = Literal["no mask", "few pixels"]


@dataclass(frozen=True)
class GresRecord:
    """One expression and its answer.

    Attributes:
        key: Of the expression; the same in every run.
        picture: Key of the picture; empty where it is not known.
        intersection: Pixels in both the predicted and the true mask.
        union: Pixels in either, whether the answer rejects or not.
        targeted: Whether the expression has a target.
        rejected: Whether the answer says that there is none.
    """

    key: str
    picture: str
    intersection: int
    union: int
    targeted: bool
    rejected: bool

    @property
    def counted_intersection(self) -> int:
        """The intersection, 0 for an answer that rejects."""
        return 0 if self.rejected else self.intersection

    @property
    def counted_union(self) -> int:
        """The union, 0 for a right rejection. A wrong one still pays for the raw mask's union."""
        return 0 if self.rejected and not self.targeted else self.union

    @property
    def iou(self) -> float:
        """IoU in [0, 1]; without a target 1 for a rejection, else 0, even for an empty mask."""
        if not self.targeted:
            return float(self.rejected)
        return self.counted_intersection / self.union if self.union else 0.0


def gres_records(masks: Iterable[MaskRecord], rejection: Rejection) -> list[GresRecord]:
    """Make records of answers that reject by their mask.

    Args:
        masks: An expression whose right mask has no pixel that counts has no target.
        rejection: An answer rejects if it gives `"no mask"` (a system without the choice never
            does), or a mask of `"few pixels"`: fewer than `FEW_PIXELS`, which holds for no mask as
            well.
    """
    return [
        GresRecord(
            one.key,
            one.picture,
            one.counts.intersection,
            one.counts.union,
            one.targeted,
            one.pointed == 0 if rejection == "no mask" else one.predicted_pixels < FEW_PIXELS,
        )
        for one in masks
    ]


def gres_figures(records: Iterable[GresRecord], seed: int = 0) -> tuple[Figure, ...]:
    """Return the figures of `gres_measurement` with their intervals."""
    return with_intervals(gres_measurement(records), seed)


def gres_mask_figures(masks: Iterable[MaskRecord], seed: int = 0) -> tuple[Figure, ...]:
    """Return the figures of `gres_mask_measurement` with their intervals."""
    return with_intervals(gres_mask_measurement(masks), seed)


def gres_mask_measurement(masks: Iterable[MaskRecord]) -> Measurement:
    """Measure answers under both readings of what a rejection is; see `gres_records`."""
    kept = list(masks)
    return joined(
        gres_measurement(gres_records(kept, "no mask")),
        gres_measurement(gres_records(kept, "few pixels")).renamed(
            f" (rejected: under {FEW_PIXELS} pixels)"
        ),
    )


def gres_measurement(records: Iterable[GresRecord]) -> Measurement:
    """Measure gIoU, cIoU, N-acc, T-acc, Pr@0.7, Pr@0.8 and Pr@0.9.

    N-acc is the share of the expressions without target that were rejected, T-acc the share of the
    others that were not. Pr@ counts expressions with a target only. Where every expression has a
    target, the released evaluator prints 0 for T-acc and N-acc; T-acc is then there a second time,
    with that value.

    Raises:
        DataError: If an expression is there twice.
    """
    kept = in_order(records)
    ious = np.array([one.iou for one in kept])
    targeted = np.array([one.targeted for one in kept], bool)
    rejected = np.array([one.rejected for one in kept], bool)
    above = np.array([one.counted_intersection for one in kept], np.float64)
    below = np.array([one.counted_union for one in kept], np.float64)
    ratios = [
        mean_over("gIoU", ious),
        Ratio("cIoU", above, below, len(kept)),
        mean_over("N-acc", rejected, ~targeted),
        mean_over("T-acc", ~rejected, targeted),
        *precision_at(ious, targeted, THRESHOLDS),
    ]
    if kept and targeted.all():
        note = "the released evaluator prints 0 where every expression has a target"
        ratios.append(mean_over("T-acc (as released)", np.zeros(len(kept)), targeted, note))
    return from_ratios([one.key for one in kept], [one.picture for one in kept], ratios)
