"""Mask tokens: what the segmenter's decoder knew when it drew a mask, the features of relations.

Relate-Anything reads the tokens of automatic masks, which a point prompt and one of SAM's three
multi-mask tokens have drawn. For a mask that came from elsewhere (a conversation, a file, another
model) the token is found so: its box and the mask itself are the prompt, and of the masks that
answer the one most like it gives its token. No pixels are pooled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lisa.errors import DataError
from lisa.masks import mask_to_box
from lisa.models.region_prompts import region_prompts
from lisa.models.segmenters import MaskOutputs, MaskPrompts, PromptablePicture
from lisa.relations.automatic_masks import settings_for
from lisa.segments import segment_of
from lisa.types import Box, Segment

_AT_ONCE = 64
"""Prompts decoded at once."""


@dataclass(frozen=True, eq=False)
class PromptedSegments:
    """What prompts have shown.

    Attributes:
        segments: One for each prompt; their score is the segmenter's own estimate of the IoU, times
            the mean foreground probability inside.
        features: (N, C) float32 mask token of each.
    """

    segments: tuple[Segment, ...]
    features: Tensor


def features_of_masks(picture: PromptablePicture, masks: Sequence[NDArray[np.bool_]]) -> Tensor:
    """Return the mask tokens of given masks, whoever drew them.

    Args:
        picture: Encoded.
        masks: bool (H, W) at the size of the picture, none of them empty; there may be none.

    Returns:
        float32 (N, C), on the CPU.

    Raises:
        DataError: If a mask has no pixels.
        PromptError: If a mask's size is not the picture's.
    """
    boxes = [_box(number, mask) for number, mask in enumerate(masks)]
    found = [torch.zeros(0, picture.segmenter.prompt_dim)]
    for start in range(0, len(masks), _AT_ONCE):
        stop = start + _AT_ONCE
        prompts = region_prompts(
            picture.transform,
            picture.original_size,
            boxes=boxes[start:stop],
            masks=masks[start:stop],
            mask_side=picture.mask_side,
        )
        outputs = _decode(picture, prompts)
        assert prompts.masks is not None
        likeness = _ious(outputs.logits > 0, (prompts.masks > 0).to(outputs.logits.device))
        found.append(_pick(outputs.mask_tokens, likeness.argmax(dim=1)))
    return torch.cat(found)


def segment_prompts(
    picture: PromptablePicture,
    *,
    points: Sequence[tuple[float, float]] | None = None,
    boxes: Sequence[Box] | None = None,
) -> PromptedSegments:
    """Segment what points or boxes show, and keep the mask tokens.

    Of the masks that answer a prompt the one with the highest estimate of its IoU is taken.

    Args:
        picture: Encoded.
        points: (x, y) in pixels of the picture; each shows a thing of its own.
        boxes: xyxy in pixels of the picture; each shows one thing. Not together with points.

    Raises:
        PromptError: If nothing is given, or both are.
    """
    prompts = region_prompts(
        picture.transform,
        picture.original_size,
        points=points,
        boxes=boxes,
        apart=True,
        mask_side=picture.mask_side,
    )
    outputs = _decode(picture, prompts)
    best = outputs.iou.argmax(dim=1)
    segments = []
    for logits, iou in zip(_pick(outputs.logits, best), _pick(outputs.iou, best), strict=True):
        segments.append(segment_of(picture.logits_at(logits[None])[0], float(iou.clamp(0, 1))))
    return PromptedSegments(tuple(segments), _pick(outputs.mask_tokens, best))


def _decode(picture: PromptablePicture, prompts: MaskPrompts) -> MaskOutputs:
    # The tokens that automatic masks have are those that relation weights were trained on.
    return picture.decode(prompts, multimask=settings_for(picture.segmenter).multimask)


def _pick(values: Tensor, choice: Tensor) -> Tensor:
    """Return float32 values[n, choice[n]] on the CPU."""
    return values[torch.arange(len(values), device=values.device), choice].float().cpu()


def _ious(masks: Tensor, wanted: Tensor) -> Tensor:
    """IoU of masks bool (N, M, h, w) with those wanted (N, 1, h, w): (N, M)."""
    overlap = (masks & wanted).sum(dim=(2, 3))
    return overlap / (masks | wanted).sum(dim=(2, 3)).clamp(min=1)


def _box(number: int, mask: NDArray[np.bool_]) -> Box:
    box = mask_to_box(mask)
    if box is None:
        raise DataError(f"Mask {number} has no pixels, so it has no feature: leave it out.")
    return box
