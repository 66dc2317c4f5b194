"""A user's own data: a folder of LabelMe's JSON files."""

from __future__ import annotations

import base64
import binascii
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lisa.data.faults import DamagedRecord
from lisa.data.mask_sources import BoxMask, CocoMask, MaskSource
from lisa.data.readers.contract import Reader, register_reader, require_files
from lisa.data.readers.own_record import wording_of
from lisa.data.readers.paths import read_json, safe_join
from lisa.data.readers.picture_size import picture_size
from lisa.data.records import Expression, Record, Target
from lisa.errors import DataError
from lisa.types import ImageSize


@dataclass(frozen=True)
class CircleMask:
    """All pixels whose centre lies in a circle.

    Attributes:
        centre: `(x, y)` in pixels of the picture.
        radius: In pixels.
        size: Of the picture.
    """

    centre: tuple[float, float]
    radius: float
    size: ImageSize

    def read(self) -> NDArray[np.bool_]:
        """Return the filled circle."""
        x = np.arange(self.size.width) + 0.5 - self.centre[0]
        y = np.arange(self.size.height)[:, None] + 0.5 - self.centre[1]
        mask: NDArray[np.bool_] = x**2 + y**2 <= self.radius**2
        return mask


@dataclass(frozen=True, eq=False)
class UnionMask:
    """What any of several regions covers.

    Attributes:
        regions: One or more, of one size.
    """

    regions: tuple[MaskSource, ...]

    def read(self) -> NDArray[np.bool_]:
        """Return the union."""
        union: NDArray[np.bool_] = np.logical_or.reduce([region.read() for region in self.regions])
        return union


@register_reader("labelme")
class LabelMe(Reader):
    """Pictures with shapes drawn in LabelMe, where the label is the expression.

    One raw file, `cup_1.json`:

        {"version": "5.5.0", "flags": {}, "imagePath": "cup_1.jpg", "imageData": null,
         "imageHeight": 40, "imageWidth": 56,
         "shapes": [{"label": "cup", "shape_type": "polygon", "group_id": null, "flags": {},
                     "points": [[12, 8], [30, 8], [30, 25], [12, 25]]},
                    {"label": "cup", "shape_type": "rectangle", "points": [[40, 8], [50, 25]]},
                    {"label": "Which of these rolls?", "shape_type": "circle",
                     "points": [[20, 30], [24, 30]]}]}

    and the Record it becomes:

        Record(key="cup_1", image=<folder of the file>/"cup_1.jpg", size=ImageSize(40, 56),
               targets=(Target((Expression("cup"),), <the union of polygon and rectangle>),
                        Target((Expression("Which of these rolls?", "sentence"),),
                               CircleMask(...))))

    Shapes of one label are one target. A polygon is filled as the COCO API does (LabelMe's own
    export adds the outline's pixels), a rectangle has two opposite corners, a circle its centre
    and a point of its edge; other shapes (lines, points, masks) are not read and are faults. A
    label that ends in a full stop, question mark or exclamation mark is a whole sentence.

    The picture is `imageData` (base64) where the file has it, else `imagePath`, relative to the
    JSON file; it may lead elsewhere in the data set's folder (`../pictures/cup_1.jpg`), but not out
    of it.

    `root` is the folder; JSON files in folders below it count too. A file without shapes is no
    record worth having and is a fault.
    """

    task = "semantic"

    def __init__(self, root: Path, split: str | None = None) -> None:
        self.chosen_split(split)
        require_files("The LabelMe data set", root)
        self.folder = root if root.is_dir() else root.parent
        self._files = sorted(root.rglob("*.json")) if root.is_dir() else [root]
        if not self._files:
            raise DataError(f"{str(root)!r} has no *.json files: give the folder of LabelMe's.")

    def __len__(self) -> int:
        return len(self._files)

    def place(self, index: int) -> str:
        """Return the file of a record."""
        return str(self._files[index])

    def __getitem__(self, index: int) -> Record:
        path = self._files[index]
        document = read_json(path)
        shapes = document.get("shapes") if isinstance(document, dict) else None
        if not isinstance(shapes, list):
            raise DamagedRecord(str(path), ["it is no file of LabelMe's: there is no 'shapes'."])
        try:
            image = self._picture(document, path)
            size = _size(document, image)
        except DataError as error:
            raise DamagedRecord(str(path), [str(error)]) from error
        by_label: dict[str, list[MaskSource]] = {}
        problems = [] if shapes else ["there are no shapes: draw some or take the file away."]
        for number, shape in enumerate(shapes, 1):
            try:
                label, region = _shape(shape, size)
                by_label.setdefault(label, []).append(region)
            except DataError as error:
                problems.append(f"shape {number}: {error}")
        targets = tuple(
            Target((Expression(label, wording_of(label)),), _union(regions))
            for label, regions in by_label.items()
        )
        key = path.relative_to(self.folder).with_suffix("").as_posix()
        record = Record(key, image, size, targets)
        if problems:
            raise DamagedRecord(str(path), problems, record)
        return record

    def _picture(self, document: dict[str, Any], path: Path) -> Path | bytes:
        data, name = document.get("imageData"), document.get("imagePath")
        if data is not None:
            try:
                return base64.b64decode(data, validate=True)
            except (TypeError, ValueError, binascii.Error) as error:
                raise DataError(
                    "its 'imageData' is no base64 text: save the file in LabelMe again."
                ) from error
        if not isinstance(name, str) or not name.strip():
            raise DataError("there is neither 'imageData' nor 'imagePath': name the picture.")
        # LabelMe writes the way from its file to the picture, on Windows with backslashes.
        below = path.parent.relative_to(self.folder).as_posix()
        way = os.path.normpath(f"{below}/{name.replace(chr(92), '/')}")
        return safe_join(self.folder, name if Path(name).is_absolute() else way)


def _size(document: dict[str, Any], image: Path | bytes) -> ImageSize:
    measured = picture_size(image)
    noted = (document.get("imageHeight"), document.get("imageWidth"))
    if noted != (None, None) and noted != measured:
        raise DataError(
            f"its imageHeight and imageWidth are {noted[0]!r:.20} and {noted[1]!r:.20}, but the "
            f"picture has {measured.height} and {measured.width}: is it another picture?"
        )
    return measured


def _union(regions: list[MaskSource]) -> MaskSource:
    return regions[0] if len(regions) == 1 else UnionMask(tuple(regions))


def _shape(shape: Any, size: ImageSize) -> tuple[str, MaskSource]:
    if not isinstance(shape, dict):
        raise DataError(f"it must be an object {{...}}, not {shape!r:.40}.")
    label = shape.get("label")
    if not isinstance(label, str) or not label.strip():
        raise DataError(f"its 'label' must be a text, not {label!r:.40}.")
    kind = shape.get("shape_type", "polygon")  # the oldest files have polygons only
    if kind not in ("polygon", "rectangle", "circle"):
        raise DataError(
            f"a shape of type {kind!r:.40} is not read: draw a polygon, a rectangle or a circle."
        )
    points = _points(shape.get("points"))
    if kind == "polygon":
        if len(points) < 3:
            raise DataError(f"a polygon needs three points or more; this one has {len(points)}.")
        return label.strip(), CocoMask(([[axis for point in points for axis in point]],), size)
    if len(points) != 2:
        raise DataError(f"a {kind} has two points; this one has {len(points)}.")
    (x0, y0), (x1, y1) = points
    if kind == "circle":
        return label.strip(), CircleMask((x0, y0), math.hypot(x1 - x0, y1 - y0), size)
    box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    return label.strip(), BoxMask(box, size)


def _points(raw: Any) -> list[tuple[float, float]]:
    if not isinstance(raw, list) or not all(_is_point(point) for point in raw):
        raise DataError(f"its 'points' must be a list of [x, y], not {raw!r:.60}.")
    return [(point[0], point[1]) for point in raw]


def _is_point(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_number(axis) for axis in value)


def _is_number(value: Any) -> bool:
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    return usable and abs(value) < 1e9 and math.isfinite(value)
