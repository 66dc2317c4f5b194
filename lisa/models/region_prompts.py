"""Points, boxes and masks on a picture as prompts in the segmenter's frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from lisa.errors import PromptError
from lisa.models.segmenters import MaskPrompts
from lisa.transforms import SegmenterTransform
from lisa.types import Box, ImageSize

# What a binary mask becomes as a mask prompt: logits that are sure, as the segmenter's own are.
_INSIDE, _OUTSIDE = 10.0, -10.0


def region_prompts(
    transform: SegmenterTransform,
    size: ImageSize,
    *,
    points: Sequence[tuple[float, float]] | None = None,
    point_labels: Sequence[int] | None = None,
    boxes: Sequence[Box] | None = None,
    masks: Sequence[NDArray[np.bool_]] | None = None,
    apart: bool = False,
    mask_side: int,
) -> MaskPrompts:
    """Carry points, boxes or masks of one picture into the segmenter's frame, in float32.

    Args:
        transform: Into the frame.
        size: Of the picture.
        points: (x, y) in pixels of the picture; all of them show one thing, unless `apart`.
        point_labels: 1 for a point on the thing, 0 for one beside it; left out, all are on it.
        boxes: xyxy in pixels of the picture; each shows one thing. Not together with points.
        masks: bool (H, W), rough masks of one thing each, alone or one for each box.
        apart: Each point shows a thing of its own.
        mask_side: Side of a mask prompt, 4h.

    Raises:
        PromptError: If nothing is given, or the parts do not fit together.
    """
    count = len(points or ())
    labels = [1] * count if point_labels is None else list(point_labels)
    _check_region(size, count, len(labels), boxes, masks)
    shape = (count, 1) if apart else (1, count)
    frames = None
    if masks:
        stacked = torch.from_numpy(np.stack([np.asarray(m, dtype=np.float32) for m in masks]))
        coverage = transform.masks_to_frame(stacked, size, mask_side)
        frames = (_OUTSIDE + coverage * (_INSIDE - _OUTSIDE)).unsqueeze(1)
    return MaskPrompts(
        points=transform.points_to_frame(torch.tensor(points).view(*shape, 2), size)
        if points
        else None,
        point_labels=torch.tensor(labels).view(shape) if points else None,
        boxes=transform.boxes_to_frame(torch.tensor(boxes), size) if boxes else None,
        masks=frames,
    )


def _check_region(
    size: ImageSize,
    points: int,
    labels: int,
    boxes: Sequence[Box] | None,
    masks: Sequence[NDArray[np.bool_]] | None,
) -> None:
    if not points and not boxes and not masks:
        raise PromptError("There is nothing to segment: give points, boxes or masks.")
    if points and boxes:
        raise PromptError("Points and boxes were given together: ask for them one after the other.")
    if labels != points:
        raise PromptError(f"There are {points} points and {labels} labels: give one each.")
    if boxes and masks and len(boxes) != len(masks):
        raise PromptError(f"There are {len(boxes)} boxes and {len(masks)} masks: give one each.")
    if points and masks and len(masks) != 1:
        raise PromptError(f"Points show one thing, and there are {len(masks)} masks: give one.")
    wrong = [mask.shape for mask in masks or () if mask.shape != tuple(size)]
    if wrong:
        raise PromptError(
            f"A mask has shape {wrong[0]}, the picture {tuple(size)}: make them equal."
        )
