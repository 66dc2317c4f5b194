"""The figures of questions that are answered with one mask, as LISA reports them.

gIoU and cIoU stand there twice: corrected, and with the arithmetic of LISA's released evaluation
(`eval.metrics.iou`). The released numbers have one more flaw, which is not built here: run on
several processes, that evaluation repeats samples to fill the last batch, and counts them twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

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
from eval.metrics.iou import (
    COUNT_EPSILON,
    TOTAL_EPSILON,
    PixelCounts,
    released_iou,
)
from eval.metrics.thresholds import precision_at


@dataclass(frozen=True)
class MaskRecord:
    """One question and the mask that answers it.

    Attributes:
        key: Of the question; the same in every run.
        picture: Key of the picture; questions about one picture are drawn together. Empty where it
            is not known.
        counts: Agreement of the answer's mask with the right one.
        predicted_pixels: Pixels of the answer's mask that count.
        pointed: How many masks the answer gave, empty ones included, refusals not; None if the
            system had no choice.
    """

    key: str
    picture: str
    counts: PixelCounts
    predicted_pixels: int
    pointed: int | None

    @property
    def targeted(self) -> bool:
        """Whether the thing asked for is there: its mask has pixels that count."""
        return self.counts.target > 0


def mask_figures(records: Iterable[MaskRecord], seed: int = 0) -> tuple[Figure, ...]:
    """Return the figures of `mask_measurement` with their intervals."""
    return with_intervals(mask_measurement(records), seed)


def mask_measurement(records: Iterable[MaskRecord]) -> Measurement:
    """Measure gIoU, cIoU, both as released, Pr@0.5 to Pr@0.9, and how often a mask is given.

    All questions count towards IoU and Pr@; those about things that are not there have IoU 1 if the
    answer's mask is empty, else 0. `emission rate` is the share of the questions about things that
    are there whose answer gives a mask, where a system has the choice; `false-positive rate` the
    share of the others whose answer has a mask with pixels (lower is better).

    Raises:
        DataError: If a question is there twice.
    """
    kept = in_order(records)
    ious = np.array([record.counts.iou for record in kept])
    targeted = np.array([record.targeted for record in kept], bool)
    drawn = [record.counts.union > 0 for record in kept]
    free = np.array([record.pointed is not None for record in kept], bool)
    released = "with the small constants of LISA's released evaluation in the denominators"
    ratios = [
        mean_over("gIoU", ious),
        cumulative_iou("cIoU", [record.counts for record in kept], when_empty=1.0),
        *_as_released([record.counts for record in kept], released),
        *precision_at(ious),
        mean_over("emission rate", [bool(record.pointed) for record in kept], targeted & free),
        mean_over("false-positive rate", drawn, ~targeted, "lower is better"),
    ]
    return from_ratios([record.key for record in kept], [record.picture for record in kept], ratios)


def cumulative_iou(name: str, counts: list[PixelCounts], when_empty: float | None = None) -> Ratio:
    """Return the sum of all intersections by the sum of all unions.

    Args:
        name: Of the figure.
        counts: Of the samples.
        when_empty: The value where all unions are empty.
    """
    above = np.array([one.intersection for one in counts], np.float64)
    below = np.array([one.union for one in counts], np.float64)
    return Ratio(name, above, below, len(counts), when_empty=when_empty)


def _as_released(counts: list[PixelCounts], note: str) -> tuple[Ratio, Ratio]:
    ious = np.array([released_iou(one) for one in counts])
    summed = cumulative_iou("cIoU (as released)", counts)
    return (
        Ratio(
            "gIoU (as released)",
            ious,
            np.ones(len(counts)),
            len(counts),
            added=COUNT_EPSILON,
            note=note,
        ),
        replace(summed, added=TOTAL_EPSILON, note=note),
    )
