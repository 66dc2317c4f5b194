"""Masks that show the same thing: found by how much they overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lisa.masks import RunLengths, encode_rle
from lisa.types import Segment


def mask_ious(masks: Sequence[RunLengths], others: Sequence[RunLengths]) -> NDArray[np.float64]:
    """Return the IoU of each mask with each other one, (masks, others).

    Run lengths are compared as they are, so hundreds of masks of a large picture are no burden.

    Args:
        masks: Of one size, as `lisa.masks.encode_rle` writes them.
        others: Of the same size.
    """
    return _overlaps(masks, others, of_first=False)


def largest_first(
    masks: Sequence[RunLengths],
    areas: Sequence[int],
    most_iou: float,
    most_inside: float = 1.0,
) -> list[int]:
    """Return which masks to keep, the largest first, so that no two overlap too much.

    Of masks that overlap by more than `most_iou` the largest stays, as in Relate-Anything.

    Args:
        masks: Of one size.
        areas: Of the masks in pixels.
        most_iou: Highest IoU that two kept masks may have.
        most_inside: Highest share of a kept mask that may lie inside a larger one.
    """
    ious = mask_ious(masks, masks)
    shares = _overlaps(masks, masks, of_first=True)
    order = np.argsort(-np.asarray(areas, np.int64), kind="stable").tolist()
    kept: list[int] = []
    for place in order:
        is_new = not kept or (
            ious[place, kept].max() <= most_iou and shares[place, kept].max() <= most_inside
        )
        if is_new:
            kept.append(place)
    return kept


def _overlaps(
    masks: Sequence[RunLengths], others: Sequence[RunLengths], *, of_first: bool
) -> NDArray[np.float64]:
    """Return the overlap over the union, or over the first mask's area, (masks, others)."""
    from pycocotools import mask as coco

    if not masks or not others:
        return np.zeros((len(masks), len(others)))
    # What COCO calls a crowd is compared by the share of the first mask that lies in it.
    crowd = [of_first] * len(others)
    found = coco.iou(list(map(_encoded, masks)), list(map(_encoded, others)), crowd)
    return np.asarray(found, np.float64)


def _encoded(mask: RunLengths) -> dict[str, object]:
    return {"size": mask["size"], "counts": mask["counts"].encode("ascii")}


def without(segments: Sequence[Segment], one: Segment, most: float) -> list[int]:
    """Return the places of those segments that overlap with `one` by no more than `most` IoU.

    Args:
        segments: Masks of one size.
        one: Of the same size.
        most: Highest IoU.
    """
    if not segments:
        return []
    ious = mask_ious([encode_rle(other.mask) for other in segments], [encode_rle(one.mask)])
    return np.flatnonzero(ious[:, 0] <= most).tolist()
