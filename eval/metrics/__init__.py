"""Scores of masks from mergeable per-answer counts: gIoU and cIoU, and how often one is given."""

from eval.metrics.iou import (
    IouScores,
    PixelCounts,
    count_pixels,
    score,
    score_as_released,
)
from eval.metrics.pointing import PointingScores, score_pointing

__all__ = [
    "IouScores",
    "PixelCounts",
    "PointingScores",
    "count_pixels",
    "score",
    "score_as_released",
    "score_pointing",
]
