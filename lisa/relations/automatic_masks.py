"""Masks of everything in a picture: a grid of points, each asked for what lies under it.

This is the automatic mask generator of SAM (Kirillov et al. 2023, appendix B) with the numbers of
`segment_anything.SamAutomaticMaskGenerator`, for any segmenter of this project. That class cannot
serve itself: it takes Meta's model only, drops the mask tokens, and knows no end but the last
point. Its arithmetic on masks is used as it is, and the class is the tests' oracle. Crops of the
picture, which it leaves out too unless asked, are not made.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.utils.amg import (
    batched_mask_to_box,
    build_point_grid,
    calculate_stability_score,
)
from torch import Tensor

from lisa.errors import ConfigError
from lisa.masks import RunLengths, encode_rle
from lisa.models.segmenters import MaskPrompts, PromptablePicture, Segmenter
from lisa.relations.duplicates import largest_first
from lisa.segments import segment_of
from lisa.types import ImageSize, Segment

Progress = Callable[[int, int], None]
"""Told after each step how many points are done, and of how many."""

_WORKING_SIDE = 1024
"""Longest side, in pixels, at which masks are judged; no segmenter's masks are finer."""

_VALUES_AT_ONCE = 1 << 26
"""Most numbers of upscaled logits that are held at once: 256 MiB."""


@dataclass(frozen=True)
class AutomaticMaskSettings:
    """Which masks are good enough; defaults are `segment_anything`'s, for SAM.

    Attributes:
        points_per_side: Of the square grid of points.
        points_per_batch: Decoded at once.
        least_iou: Lowest estimate of its own IoU that a mask may have, which must be exceeded.
        least_stability: Lowest IoU of the mask cut `stability_offset` above and below 0.
        stability_offset: In logits.
        most_box_iou: Of two boxes that overlap more, the mask with the lower estimate goes.
        most_mask_iou: Of two masks that overlap more, the smaller goes.
        most_inside: A mask of which a larger share lies inside a larger mask goes: 1 keeps parts.
        multimask: Whether each point gives three masks, of the whole, a part and a part of that, or
            the one that the segmenter was trained on.
    """

    points_per_side: int = 32
    points_per_batch: int = 64
    least_iou: float = 0.88
    least_stability: float = 0.95
    stability_offset: float = 1.0
    most_box_iou: float = 0.7
    most_mask_iou: float = 0.8
    most_inside: float = 1.0
    multimask: bool = True

    def __post_init__(self) -> None:
        """Check the numbers."""
        if min(self.points_per_side, self.points_per_batch) < 1:
            raise ConfigError(
                f"{self.points_per_side} points a side, {self.points_per_batch} at once, are no "
                "grid: ask for one or more of each."
            )


@dataclass(frozen=True, eq=False)
class AutomaticMasks:
    """Everything that was found in a picture.

    Attributes:
        segments: The largest first; their score is the segmenter's own estimate of the IoU, times
            the mean foreground probability inside.
        features: (N, C) float32 mask token of each segment.
        points: float64 (N, 2), the point (x, y) in pixels of the picture that found each.
        asked: How many points were asked.
        of: How many there are; more than `asked` where time ran out.
    """

    segments: tuple[Segment, ...]
    features: Tensor
    points: NDArray[np.float64]
    asked: int
    of: int

    @property
    def is_complete(self) -> bool:
        """Whether every point was asked."""
        return self.asked == self.of


def settings_for(segmenter: Segmenter) -> AutomaticMaskSettings:
    """Return the settings that suit a segmenter.

    SAM's are Meta's. The small segmenter on a vision tower was trained on one mask a prompt, that
    of the whole thing; its grid is half as fine, and points that lie on nothing make masks that a
    small change of the cut undoes. Its numbers were chosen on composed scenes of the kind that it
    was trained on.
    """
    if segmenter.source == "pixels":
        return AutomaticMaskSettings()
    return AutomaticMaskSettings(
        points_per_side=16,
        least_iou=0.5,
        least_stability=0.5,
        stability_offset=2.0,
        most_inside=0.8,
        multimask=False,
    )


@dataclass
class _Found:
    """Masks of some points, all lists of one length; low-resolution logits stand for masks."""

    logits: list[Tensor] = field(default_factory=list)
    masks: list[RunLengths] = field(default_factory=list)
    areas: list[int] = field(default_factory=list)
    boxes: list[Tensor] = field(default_factory=list)
    ious: list[float] = field(default_factory=list)
    tokens: list[Tensor] = field(default_factory=list)
    points: list[NDArray[np.float64]] = field(default_factory=list)


def automatic_masks(
    picture: PromptablePicture,
    settings: AutomaticMaskSettings | None = None,
    *,
    seconds: float | None = None,
    progress: Progress | None = None,
) -> AutomaticMasks:
    """Find everything in a picture.

    Points are asked in an order that soon covers the whole picture; it is always the same.

    Args:
        picture: Encoded.
        settings: None takes `settings_for` the picture's segmenter.
        seconds: Time after which no further points are asked; what was found is returned. The first
            points are always asked. None for no limit.
        progress: Told about each step.
    """
    settings = settings or settings_for(picture.segmenter)
    start = time.monotonic()
    grid = build_point_grid(settings.points_per_side)
    places = np.random.default_rng(0).permutation(grid) * picture.original_size[::-1]
    found, asked = _Found(), 0
    while asked < len(places):
        if asked and seconds is not None and time.monotonic() - start >= seconds:
            break
        batch = places[asked : asked + settings.points_per_batch]
        _ask(picture, batch, settings, found)
        asked += len(batch)
        if progress is not None:
            progress(asked, len(places))
    kept = _without_duplicates(found, settings)
    # One by one: masks of a large picture all at once would not fit into memory.
    segments = [
        segment_of(picture.logits_at(found.logits[i][None])[0], min(1.0, max(0.0, found.ious[i])))
        for i in kept
    ]
    width = picture.segmenter.prompt_dim
    return AutomaticMasks(
        tuple(segments),
        torch.stack([found.tokens[i] for i in kept]) if kept else torch.zeros(0, width),
        np.array([found.points[i] for i in kept]).reshape(-1, 2),
        asked,
        len(places),
    )


def _ask(
    picture: PromptablePicture,
    points: NDArray[np.float64],
    settings: AutomaticMaskSettings,
    found: _Found,
) -> None:
    """Ask for the masks under points (x, y) in pixels of the picture; keep the good ones."""
    frame = picture.transform.points_to_frame(torch.from_numpy(points), picture.original_size)
    labels = torch.ones(len(points), 1, dtype=torch.long)
    outputs = picture.decode(
        MaskPrompts(points=frame[:, None], point_labels=labels), multimask=settings.multimask
    )
    masks_each = outputs.iou.shape[1]
    ious = outputs.iou.flatten().float()
    # The cheap test comes first: most masks fail it, and need not be scaled up.
    good = (ious > settings.least_iou).nonzero()[:, 0]
    logits = outputs.logits.flatten(0, 1)
    tokens = outputs.mask_tokens.flatten(0, 1)
    size = _working_size(picture.original_size)
    for part in good.split(_most_at_once(picture, size)):
        scaled = picture.logits_at(logits[part], size)
        stability = calculate_stability_score(scaled, 0.0, settings.stability_offset)
        # An empty mask has the stability 0 / 0, which is not kept either.
        stable = stability >= settings.least_stability
        masks = scaled[stable] > 0
        boxes = batched_mask_to_box(masks).cpu()
        for place, mask, box in zip(part[stable].tolist(), masks.cpu(), boxes, strict=True):
            # A copy: a view would keep the whole batch alive.
            found.logits.append(logits[place].float().cpu().clone())
            found.masks.append(encode_rle(mask.numpy()))
            found.areas.append(int(mask.sum()))
            found.boxes.append(box)
            found.ious.append(float(ious[place]))
            found.tokens.append(tokens[place].float().cpu().clone())
            found.points.append(points[place // masks_each])


def _working_size(size: ImageSize) -> ImageSize:
    scale = min(1.0, _WORKING_SIDE / max(size))
    return ImageSize(max(1, round(size.height * scale)), max(1, round(size.width * scale)))


def _most_at_once(picture: PromptablePicture, size: ImageSize) -> int:
    largest = max(picture.segmenter.image_size**2, size.height * size.width)
    return max(1, _VALUES_AT_ONCE // largest)


def _without_duplicates(found: _Found, settings: AutomaticMaskSettings) -> list[int]:
    """Return which masks to keep, the largest first."""
    from torchvision.ops import nms

    if not found.masks:
        return []
    scores = torch.tensor(found.ious)
    survivors = nms(torch.stack(found.boxes).float(), scores, settings.most_box_iou).tolist()
    kept = largest_first(
        [found.masks[i] for i in survivors],
        [found.areas[i] for i in survivors],
        settings.most_mask_iou,
        settings.most_inside,
    )
    return [survivors[i] for i in kept]
