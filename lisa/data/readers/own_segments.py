"""Regions as people write them by hand: a polygon, a box, run lengths or a mask file.

    {"polygon": [[12, 8, 30, 8, 30, 25]]}           outlines [x0, y0, x1, y1, ...], united
    {"box": [12, 8, 30, 25]}                        corners [x0, y0, x1, y1]
    {"rle": {"size": [40, 56], "counts": "..."}}    COCO run lengths, packed or a list of numbers
    {"mask": "masks/1.png"}                         a picture; pixels above zero are the region

All are in pixels of the picture as it is shown upright; `size` is `[height, width]`. Polygons are
filled as the COCO API does; holes need run lengths or a mask file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lisa.data.known_keys import unknown_keys
from lisa.data.mask_sources import BoxMask, CocoMask, FileMask, MaskSource, NoMask
from lisa.errors import DataError
from lisa.types import ImageSize

FindFile: TypeAlias = Callable[[Any], Path | bytes]
"""From what stands in a record to the file that it names; raises DataError if it names none."""

SEGMENT_KINDS = ("polygon", "box", "rle", "mask")
# How far a box may stand over the picture's edge, in pixels: tools round.
_BOX_SLACK = 1.0


@dataclass(frozen=True, eq=False)
class OwnFileMask:
    """A mask file that must be as large as its picture.

    Attributes:
        path: Of the mask.
        size: Of the picture.
    """

    path: Path
    size: ImageSize

    def read(self) -> NDArray[np.bool_]:
        """Return the mask.

        Raises:
            DataError: If it cannot be read or has another size.
        """
        if not self.path.is_file():
            raise DataError(f"the mask {str(self.path)!r} is not there: check the path.")
        mask = FileMask(self.path).read()
        if mask.shape != self.size:
            raise DataError(
                f"the mask {str(self.path)!r} has {mask.shape[0]} x {mask.shape[1]} pixels (height "
                f"x width), but its picture has {self.size.height} x {self.size.width}: save it "
                "at the size of the picture."
            )
        return mask


def read_segment(raw: Any, size: ImageSize | None, find_file: FindFile) -> MaskSource:
    """Read one region; its pixels are read when the mask is.

    Args:
        raw: As in the module's docstring; None is a thing that is not in the picture.
        size: Of the picture; None if it is not known, and then the mask may not be read.
        find_file: Finds a mask file.

    Raises:
        DataError: If it is none of the four kinds, or is malformed.
    """
    known_size = size if size is not None else ImageSize(0, 0)
    if raw is None:
        return NoMask(known_size)
    if not isinstance(raw, dict):
        raise DataError(
            f'a segment must be an object such as {{"box": [x0, y0, x1, y1]}}, not {raw!r:.60}.'
        )
    wrong = unknown_keys(raw, SEGMENT_KINDS)
    if wrong:
        raise DataError(wrong[0])
    if len(raw) != 1:
        raise DataError(
            f"a segment must be one of {', '.join(SEGMENT_KINDS)}; this one has {len(raw)} of them."
        )
    kind, value = next(iter(raw.items()))
    if kind == "polygon":
        return CocoMask((_polygons(value),), known_size)
    if kind == "box":
        return _box(value, size)
    if kind == "rle":
        return CocoMask((_run_lengths(value, size),), known_size)
    return _file(value, known_size, find_file)


def _polygons(value: Any) -> list[list[float]]:
    if not isinstance(value, list) or not value or not all(isinstance(p, list) for p in value):
        raise DataError(
            "a polygon must be a list of outlines [[x0, y0, x1, y1, ...], ...], each a flat list, "
            f"not {value!r:.60}."
        )
    polygons = [_numbers(outline, "a polygon") for outline in value]
    for outline in polygons:
        if len(outline) < 6 or len(outline) % 2:
            raise DataError(
                "a polygon needs x and y of three points or more in each flat outline "
                f"[x0, y0, x1, y1, ...]; this one has {len(outline)} numbers."
            )
    _refuse_shares([number for outline in polygons for number in outline], "polygon")
    return polygons


def _box(value: Any, size: ImageSize | None) -> BoxMask:
    if not isinstance(value, list) or len(value) != 4:
        raise DataError(f"a box must be four numbers [x0, y0, x1, y1], not {value!r:.60}.")
    left, top, right, bottom = _numbers(value, "a box")
    _refuse_shares(value, "box")
    if left >= right or top >= bottom:
        raise DataError(
            f"the box {value!r:.60} has no area: give its corners [x0, y0, x1, y1] with x0 < x1 "
            "and y0 < y1, not a width and a height."
        )
    if size is None:
        return BoxMask((left, top, right, bottom), ImageSize(0, 0))
    inside = min(left, top) >= -_BOX_SLACK
    if not inside or right > size.width + _BOX_SLACK or bottom > size.height + _BOX_SLACK:
        raise DataError(
            f"the box {value!r:.60} leaves its picture of {size.height} x {size.width} pixels "
            "(height x width): give corners [x0, y0, x1, y1] in pixels of this picture."
        )
    return BoxMask((left, top, right, bottom), size)


def _run_lengths(value: Any, size: ImageSize | None) -> dict[str, Any]:
    if not isinstance(value, dict) or not {"size", "counts"} <= value.keys():
        raise DataError(
            "run lengths must be an object with 'size' ([height, width]) and 'counts', not "
            f"{value!r:.60}."
        )
    sides = value["size"]
    if size is not None and sides == [size.width, size.height] and size.width != size.height:
        raise DataError(
            f"the run lengths' size {sides} is [width, height]: write [height, width] and the runs "
            "column by column, as COCO does."
        )
    return value


def _file(value: Any, size: ImageSize, find_file: FindFile) -> MaskSource:
    path = find_file(value)
    if isinstance(path, bytes):
        raise DataError("a mask must be a file here: inside a data set, store run lengths ('rle').")
    if PurePath(path).suffix.lower() in (".jpg", ".jpeg"):
        raise DataError(
            f"the mask {str(path)!r} is a JPEG, whose pixels near an edge are neither zero nor "
            "the region: save masks as PNG."
        )
    return OwnFileMask(path, size)


def _numbers(values: list[Any], what: str) -> list[float]:
    for number in values:
        # A limit on whole numbers as well: Python reads ones that no float can hold.
        usable = isinstance(number, int | float) and not isinstance(number, bool)
        if not usable or abs(number) > 1e9 or not math.isfinite(number):
            raise DataError(f"{what} must be of plain numbers, not {number!r:.40}.")
    return values


def _refuse_shares(numbers: list[float], what: str) -> None:
    if all(0 <= number <= 1 for number in numbers):
        raise DataError(
            f"the {what}'s numbers all lie between 0 and 1: give pixels, not shares of the picture."
        )
