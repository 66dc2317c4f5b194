"""Ref-ZOM: expressions for zero, one or many things.

Source: "Beyond One-to-One: Rethinking the Referring Image Segmentation" (ICCV 2023), section 5, and
the evaluation of toggle1995/RIS-DMMI: IoU leaves expressions without target out, which have their
own accuracy.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from eval.metrics.bootstrap import (
    Measurement,
    Ratio,
    from_ratios,
    in_order,
    mean_over,
    with_intervals,
)
from eval.metrics.figures import Figure
from eval.metrics.masks import MaskRecord


def ref_zom_figures(records: Iterable[MaskRecord], seed: int = 0) -> tuple[Figure, ...]:
    """Return the figures of `ref_zom_measurement` with their intervals."""
    return with_intervals(ref_zom_measurement(records), seed)


def ref_zom_measurement(records: Iterable[MaskRecord]) -> Measurement:
    """Measure oIoU, mIoU and Acc.

    oIoU is the sum of intersections by the sum of unions and mIoU the mean IoU, both over the
    expressions with one or many targets; Acc is the share of the expressions without target whose
    mask is empty.

    Raises:
        DataError: If an expression is there twice.
    """
    kept = in_order(records)
    targeted = np.array([one.targeted for one in kept], bool)
    above = np.array([one.counts.intersection for one in kept], np.float64)
    below = np.array([one.counts.union for one in kept], np.float64)
    ratios = [
        Ratio("oIoU", above * targeted, below * targeted, int(targeted.sum())),
        mean_over("mIoU", [one.counts.iou for one in kept], targeted),
        mean_over("Acc", [one.predicted_pixels == 0 for one in kept], ~targeted),
    ]
    return from_ratios([one.key for one in kept], [one.picture for one in kept], ratios)
