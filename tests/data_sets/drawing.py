"""What the makers of tiny data sets share: planted regions, and photographs that show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lisa.masks import RunLengths, encode_rle

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]
Shape = Callable[[tuple[int, int], Box], NDArray[np.bool_]]
"""`rectangle` or `ellipse`."""


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


def coco_annotation(
    number: int, image: int, category: int, mask: NDArray[np.bool_], segmentation: Any
) -> dict[str, Any]:
    """One entry of a COCO file's `annotations`; releases add to it."""
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "segmentation": segmentation,
        "bbox": bounding_box(mask),
        "area": int(mask.sum()),
        "iscrowd": 0,
    }


def labels(
    size: tuple[int, int], background: int, *regions: tuple[int, NDArray[np.bool_]]
) -> NDArray[np.uint8]:
    """A label picture: later regions lie over earlier ones."""
    picture = np.full(size, background, dtype=np.uint8)
    for value, mask in regions:
        picture[mask] = value
    return picture


def scene(
    size: tuple[int, int], background: int, *things: tuple[int, Shape, Box]
) -> NDArray[np.uint8]:
    """A label picture of things in boxes: later ones lie over earlier ones."""
    return labels(size, background, *((value, shape(size, box)) for value, shape, box in things))


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


def write_scenes(
    scenes: Mapping[str, Mapping[str, NDArray[np.uint8]]],
    colours: Mapping[int, Colour],
    shown: Path,
    numbers: Path,
    palette: list[Colour] | None = None,
) -> None:
    """Save photograph and label picture of scenes by folder and name; paths have `{folder}` and
    `{name}` in them.
    """
    for folder, pictures in scenes.items():
        for name, picture in pictures.items():
            photograph(picture, colours, Path(str(shown).format(folder=folder, name=name)))
            label_picture(picture, Path(str(numbers).format(folder=folder, name=name)), palette)
