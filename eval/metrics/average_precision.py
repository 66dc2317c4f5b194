"""Mask AP of instances with scores, as COCO measures it, through pycocotools' `COCOeval`.

AP is the mean over ten IoU thresholds (0.50 to 0.95), 101 recalls and all categories that occur;
AP50 and AP75 are at one threshold. At most 100 instances of a category count in a picture, the
surest first.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.metrics.bootstrap import Measurement, Weights, from_draws, in_order, with_intervals
from eval.metrics.figures import Figure
from lisa.errors import DataError
from lisa.masks import RunLengths, decode_rle, encode_rle

_NAMES = ("AP", "AP50", "AP75")
_MOST = 100
_ANY_AREA = [0.0, 1e10]


@dataclass(frozen=True)
class TrueInstance:
    """One thing in a picture.

    Attributes:
        mask: As run lengths.
        category: Any number; None where there are no categories.
        crowd: Whether the mask is of several things that were not told apart: finding it counts
            neither for nor against a system.
    """

    mask: RunLengths
    category: int | None = None
    crowd: bool = False


@dataclass(frozen=True)
class ScoredInstance:
    """One thing that a system found.

    Attributes:
        mask: As run lengths.
        score: How sure the system is; any finite number, higher is surer.
        category: As in `TrueInstance`.
    """

    mask: RunLengths
    score: float
    category: int | None = None


@dataclass(frozen=True)
class InstanceRecord:
    """One picture.

    Attributes:
        key: Of the picture (or of the picture and what was asked about it).
        truth: What is there.
        predicted: What was found.
        picture: Key of the picture where `key` says more than that; else empty.
    """

    key: str
    truth: tuple[TrueInstance, ...]
    predicted: tuple[ScoredInstance, ...]
    picture: str = ""


def average_precision_figures(
    records: Iterable[InstanceRecord], *, class_agnostic: bool = False, seed: int = 0
) -> tuple[Figure, ...]:
    """Return the figures of `average_precision_measurement` with their intervals."""
    return with_intervals(average_precision_measurement(records, class_agnostic), seed)


def average_precision_measurement(
    records: Iterable[InstanceRecord], class_agnostic: bool = False
) -> Measurement:
    """Measure AP, AP50 and AP75; without a value where there is nothing to find.

    Args:
        records: One for each picture. Instances with equal scores stand in the order of the keys.
        class_agnostic: Whether an instance of another category is as good.

    Raises:
        DataError: If a picture is there twice, if a mask is damaged or of another size than the
            others of its picture, or if a score is not a finite number.
    """
    kept = in_order(records)
    figures = [Figure(name, None, n=len(kept)) for name in _NAMES]
    if not any(one.truth for one in kept):
        return from_draws([one.key for one in kept], [one.picture for one in kept], figures, _none)
    coco = _match(kept, class_agnostic)
    return from_draws(
        [one.key for one in kept], [one.picture for one in kept], figures, _Accumulated(coco)
    )


def _none(weights: Weights) -> list[float]:
    return [math.nan] * len(_NAMES)


class _Accumulated:
    """AP for any draw of the pictures: instances were matched once, and stay so."""

    def __init__(self, matched: Any) -> None:
        self._coco = matched
        pictures = len(matched.params.imgIds)
        self._by_category: NDArray[np.object_] = np.empty(len(matched.evalImgs), object)
        self._by_category[:] = matched.evalImgs
        self._by_category = self._by_category.reshape(-1, pictures)

    def __call__(self, weights: Weights) -> list[float]:
        taken = np.repeat(np.arange(len(weights)), weights.astype(np.intp))
        pictures = list(range(len(taken)))
        for params in (self._coco.params, self._coco._paramsEval):
            params.imgIds = pictures
        self._coco.evalImgs = self._by_category[:, taken].ravel().tolist()
        with contextlib.redirect_stdout(io.StringIO()):
            self._coco.accumulate()
        # (thresholds, recalls, categories, areas, limits); -1 for categories that do not occur
        precision = self._coco.eval["precision"][:, :, :, 0, -1]
        at = self._coco.params.iouThrs
        return [_mean(precision), *(_mean(precision[np.isclose(at, t)]) for t in (0.5, 0.75))]


def _mean(precision: NDArray[np.float64]) -> float:
    found = precision[precision > -1]
    return float(found.mean()) if found.size else math.nan


def _match(records: Sequence[InstanceRecord], class_agnostic: bool) -> Any:
    from pycocotools.cocoeval import COCOeval

    named = {one.category for record in records for one in _instances(record)}
    ordered = sorted(named, key=lambda one: (one is not None, one or 0))
    numbers = {one: 1 if class_agnostic else 1 + place for place, one in enumerate(ordered)}
    truth: list[dict[str, Any]] = []
    predicted: list[dict[str, Any]] = []
    sizes: list[list[int]] = []
    for picture, record in enumerate(records):
        size = None
        for one in _instances(record):
            into = truth if isinstance(one, TrueInstance) else predicted
            entry, size = _entry(one, record.key, size)
            # COCOeval takes an id of 0 for "not matched".
            into.append(
                {
                    **entry,
                    "id": len(into) + 1,
                    "image_id": picture,
                    "category_id": numbers[one.category],
                }
            )
        sizes.append(size or [1, 1])
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCOeval(
            _as_coco(truth, sizes, numbers.values()),
            _as_coco(predicted, sizes, numbers.values()),
            "segm",
        )
        coco.params.maxDets = [_MOST]
        coco.params.areaRng, coco.params.areaRngLbl = [_ANY_AREA], ["all"]
        coco.evaluate()
    return coco


def _instances(record: InstanceRecord) -> list[TrueInstance | ScoredInstance]:
    return [*record.truth, *record.predicted]


def _entry(
    one: TrueInstance | ScoredInstance, key: str, size: list[int] | None
) -> tuple[dict[str, Any], list[int]]:
    # pycocotools trusts run lengths: decoding checks them.
    decoded = decode_rle(one.mask)
    found = list(decoded.shape)
    if size is not None and found != size:
        raise DataError(
            f"{key}: a mask is of {found[0]} x {found[1]} pixels, another one of {size[0]} x "
            f"{size[1]}: give all masks of a picture the size of the picture."
        )
    entry: dict[str, Any] = {
        "segmentation": encode_rle(decoded),
        "area": int(np.count_nonzero(decoded)),
        "iscrowd": 0,
    }
    if isinstance(one, TrueInstance):
        entry["iscrowd"] = int(one.crowd)
    elif math.isfinite(one.score):
        entry["score"] = float(one.score)
    else:
        raise DataError(f"{key}: an instance has the score {one.score}, not a finite number.")
    return entry, found


def _as_coco(
    annotations: list[dict[str, Any]], sizes: Sequence[Sequence[int]], categories: Iterable[int]
) -> Any:
    from pycocotools.coco import COCO

    coco = COCO()
    coco.dataset = {
        "images": [
            {"id": number, "height": height, "width": width}
            for number, (height, width) in enumerate(sizes)
        ],
        "categories": [{"id": number} for number in sorted(set(categories))],
        "annotations": annotations,
    }
    coco.createIndex()
    return coco
