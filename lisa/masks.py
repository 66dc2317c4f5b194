"""Masks in and out of other forms: COCO run-length encoding (RLE), boxes, polygons.

The run-length codec is pycocotools'. It trusts what it decodes, so a few bytes can ask it for
gigabytes or lead it past the end of its buffer: what comes from outside is checked here before it
is decoded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lisa.errors import DataError
from lisa.types import Box, ImageSize

MAX_MASK_PIXELS = 178_956_970 // 2
MAX_POLYGON_VERTICES = 100_000


class RunLengths(TypedDict):
    """A mask as COCO writes it: `size` is `[height, width]`, `counts` its packed run lengths."""

    size: list[int]
    counts: str


def encode_rle(mask: ArrayLike) -> RunLengths:
    """Writes a mask as compressed COCO run lengths (columns first, JSON-ready).

    Args:
        mask: `(H, W)`, bool or numbers of which non-zero is foreground.

    Raises:
        DataError: The mask is not two-dimensional.
    """
    from pycocotools import mask as coco

    array = _as_mask(mask)
    encoded = coco.encode(np.asfortranarray(array, dtype=np.uint8))
    return {
        "size": [int(side) for side in array.shape],
        "counts": encoded["counts"].decode("ascii"),
    }


def decode_rle(rle: Mapping[str, Any], max_pixels: int = MAX_MASK_PIXELS) -> NDArray[np.bool_]:
    """Reads COCO run lengths, compressed (text or bytes) or plain (a list of numbers).

    Args:
        rle: `size` as `[height, width]` and `counts`.
        max_pixels: Masks with more pixels are refused before any memory is taken for them.

    Returns:
        `bool (H, W)`.

    Raises:
        DataError: The record is malformed, too large, or its runs do not add up to the size.
    """
    from pycocotools import mask as coco

    size = check_rle_size(rle, max_pixels)
    counts = rle.get("counts")
    pixels = size.height * size.width
    if isinstance(counts, str | bytes):
        packed = _as_bytes(counts, pixels)
        _check_runs(_read_compressed_runs(packed), size)
        encoded: dict[str, Any] = {"size": list(size), "counts": packed}
    elif isinstance(counts, Sequence):
        runs = list(counts)
        if not all(isinstance(run, int) and not isinstance(run, bool) for run in runs):
            raise DataError("a mask's run lengths must be whole numbers: check 'counts'.")
        _check_runs(iter(runs), size)
        encoded = coco.frPyObjects({"size": list(size), "counts": runs}, *size)
    else:
        raise DataError(
            f"a mask's 'counts' must be text or a list of run lengths, not {type(counts).__name__}."
        )
    decoded: NDArray[np.bool_] = np.ascontiguousarray(coco.decode(encoded)).astype(bool)
    return decoded


def check_rle_size(rle: Mapping[str, Any], max_pixels: int = MAX_MASK_PIXELS) -> ImageSize:
    """Checks the size that run lengths claim, without decoding them.

    Args:
        rle: `size` as `[height, width]`; nothing else is read.
        max_pixels: As for `decode_rle`.

    Returns:
        The size.

    Raises:
        DataError: The size is malformed or too large.
    """
    if not isinstance(rle, Mapping):
        raise DataError(
            f"a mask must be a record with 'size' and 'counts', not {type(rle).__name__}."
        )
    size = rle.get("size")
    well_formed = (
        isinstance(size, Sequence)
        and len(size) == 2
        and all(isinstance(side, int | np.integer) and side > 0 for side in size)
    )
    if not well_formed:
        raise DataError(f"a mask's 'size' must be [height, width] above zero, not {size!r:.80}.")
    assert isinstance(size, Sequence)
    height, width = int(size[0]), int(size[1])
    if height * width > max_pixels:
        raise DataError(
            f"a mask of {height} x {width} pixels is above the limit of {max_pixels:,} pixels: "
            "scale it down first."
        )
    return ImageSize(height, width)


def _as_bytes(counts: str | bytes, pixels: int) -> bytes:
    # Honest run lengths need a few characters each and are no more than the pixels; endless empty
    # runs would add up to nothing and pass the other checks.
    if len(counts) > 8 * (pixels + 1):
        raise DataError(f"a mask of {pixels:,} pixels has {len(counts):,} characters of runs.")
    try:
        return counts.encode("ascii") if isinstance(counts, str) else bytes(counts)
    except UnicodeEncodeError as error:
        raise DataError("a mask's 'counts' holds characters that are no run lengths.") from error


def _read_compressed_runs(packed: bytes) -> Iterator[int]:
    """Yields the run lengths of COCO's compressed text (`rleFrString` of the COCO API).

    Each character carries five bits and a "more follows" bit, offset by 48; from the fourth run on
    the number is the difference to the run before last.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for byte in packed:
        code = byte - 48
        if not 0 <= code < 64 or shift > 60:
            raise DataError("a mask's 'counts' holds characters that are no run lengths.")
        value |= (code & 0x1F) << shift
        shift += 5
        if code & 0x20:
            continue
        if code & 0x10:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        runs.append(value)
        yield value
        value, shift = 0, 0
    if shift:
        raise DataError("a mask's 'counts' ends in the middle of a run length: it is cut off.")


def _check_runs(runs: Iterator[int], size: ImageSize) -> None:
    total, pixels = 0, size.height * size.width
    for run in runs:
        total += run
        if run < 0 or total > pixels:
            raise DataError(
                f"a mask's runs leave its size of {size.height} x {size.width}: it is damaged."
            )
    if total != pixels:
        raise DataError(
            f"a mask's runs cover {total:,} pixels, but its size of {size.height} x {size.width} "
            f"has {pixels:,}: it is damaged."
        )


def mask_to_box(mask: ArrayLike) -> Box | None:
    """Returns the smallest box around a mask.

    Args:
        mask: `(H, W)`, bool or numbers of which non-zero is foreground.

    Returns:
        `xyxy` in pixels, right and bottom edges excluded (`x1 - x0` is the width); None if the mask
        is empty.

    Raises:
        DataError: The mask is not two-dimensional.
    """
    array = _as_mask(mask)
    rows, columns = np.flatnonzero(array.any(axis=1)), np.flatnonzero(array.any(axis=0))
    if rows.size == 0:
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _as_mask(mask: ArrayLike) -> NDArray[np.bool_]:
    array = np.asarray(mask)
    if array.ndim != 2:
        raise DataError(f"a mask must be (height, width), not of shape {array.shape}.")
    filled: NDArray[np.bool_] = array != 0
    return filled


def polygons_to_mask(
    polygons: Sequence[Sequence[float]], size: ImageSize, max_pixels: int = MAX_MASK_PIXELS
) -> NDArray[np.bool_]:
    """Fills polygons as the COCO API does; overlapping ones are united.

    Args:
        polygons: Each flat `[x0, y0, x1, y1, ...]` in pixels, three points or more. Points may lie
            outside the picture, by no more than one picture's size.
        size: Size of the mask.
        max_pixels: As for `decode_rle`.

    Returns:
        `bool (H, W)`.

    Raises:
        DataError: A polygon is malformed or the size is too large.
    """
    from pycocotools import mask as coco

    size = check_rle_size({"size": list(size)}, max_pixels)
    flat = [_check_polygon(polygon, size) for polygon in polygons]
    if not flat:
        return np.zeros(size, dtype=bool)
    merged = coco.merge(coco.frPyObjects(flat, *size))
    filled: NDArray[np.bool_] = coco.decode(merged).astype(bool)
    return filled


def _check_polygon(polygon: Sequence[float], size: ImageSize) -> list[float]:
    if len(polygon) < 6 or len(polygon) % 2 or len(polygon) > 2 * MAX_POLYGON_VERTICES:
        raise DataError(
            f"a polygon needs x and y of 3 to {MAX_POLYGON_VERTICES:,} points; this one has "
            f"{len(polygon)} numbers."
        )
    try:
        numbers = [float(number) for number in polygon]
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError("a polygon must be a flat list of numbers [x0, y0, ...].") from error
    for index, number in enumerate(numbers):
        side = size.height if index % 2 else size.width
        # The rasteriser's memory grows with the length of an edge: points far outside are refused.
        if not math.isfinite(number) or not -side <= number <= 2 * side:
            raise DataError(
                f"a polygon's point {number:g} is far outside the picture of "
                f"{size.height} x {size.width} pixels (height x width)."
            )
    return numbers
