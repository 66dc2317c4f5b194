"""What the makers of tiny data sets share: planted regions, and photographs that show them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lisa.masks import RunLengths, encode_rle

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]


def rectangle(size: tuple[int, int], box: Box) -> NDArray[np.bool_]:
    """`bool (H, W)`: the pixels of `x0, y0, x1, y1`, last column and row left out."""
    left, top, right, bottom = box
    mask = np.zeros(size, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def ellipse(size: tuple[int, int], box: Box) -> NDArray[np.bool_]:
    """`bool (H, W)`: the ellipse that fills a box."""
    left, top, right, bottom = box
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]] + 0.5
    x = (columns - (left + right) / 2) / ((right - left) / 2)
    y = (rows - (top + bottom) / 2) / ((bottom - top) / 2)
    return x * x + y * y <= 1


def polygon(box: Box) -> list[float]:
    """The corners of a box as COCO writes a polygon; they enclose the pixels of `rectangle`."""
    left, top, right, bottom = (float(side) for side in box)
    return [left, top, right, top, right, bottom, left, bottom]


def packed(mask: NDArray[np.bool_]) -> RunLengths:
    """Compressed run lengths as a JSON file has them."""
    return encode_rle(mask)


def bounding_box(mask: NDArray[np.bool_]) -> list[float]:
    """COCO's `bbox`: x, y, width, height."""
    rows, columns = np.nonzero(mask)
    top, left = rows.min(), columns.min()
    return [float(n) for n in (left, top, columns.max() - left + 1, rows.max() - top + 1)]


def labels(
    size: tuple[int, int], background: int, *regions: tuple[int, NDArray[np.bool_]]
) -> NDArray[np.uint8]:
    """A label picture: later regions lie over earlier ones."""
    picture = np.full(size, background, dtype=np.uint8)
    for value, mask in regions:
        picture[mask] = value
    return picture


def photograph(numbers: NDArray[Any], colours: Mapping[int, Colour], path: Path) -> None:
    """Save a JPEG that shows every number in its own colour, with a little texture."""
    picture = np.full((*numbers.shape, 3), 128, dtype=np.int16)
    for value, colour in colours.items():
        picture[numbers == value] = colour
    picture += np.random.default_rng(numbers.size).integers(-12, 13, picture.shape, dtype=np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(path, quality=95)


def label_picture(
    numbers: NDArray[np.uint8], path: Path, palette: list[Colour] | None = None
) -> None:
    """Save a label picture as PNG: grey, or with a palette."""
    picture = Image.fromarray(numbers)
    if palette is not None:
        picture.putpalette([channel for colour in palette for channel in colour])
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
