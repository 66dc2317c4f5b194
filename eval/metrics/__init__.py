"""Scores of masks: gIoU and cIoU from mergeable per-answer pixel counts."""

from eval.metrics.iou import (
    IouScores,
    PixelCounts,
    count_pixels,
    score,
    score_as_released,
)

__all__ = ["IouScores", "PixelCounts", "count_pixels", "score", "score_as_released"]
