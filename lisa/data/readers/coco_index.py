"""Reads a JSON file in COCO's format into a typed index; pictures and masks stay where they are.

One such file:

    {"images": [{"id": 9, "file_name": "train2017/000000000009.jpg", "height": 480, "width": 640}],
     "annotations": [{"id": 1, "image_id": 9, "category_id": 51, "iscrowd": 0,
                      "segmentation": [[500.5, 473.5, 599.2, 419.6, 612.0, 375.0]]}],
     "categories": [{"id": 51, "name": "bowl"}]}

A `segmentation` is a list of flat polygons, run lengths (`{"size": [h, w], "counts": ...}`, packed
or as a list of numbers), or, in refCLEF, a list of run lengths. Other keys are left unread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lisa.data.mask_sources import CocoMask, CocoSegmentation
from lisa.data.readers.paths import read_json
from lisa.errors import DataError
from lisa.types import ImageSize

_Entry = TypeVar("_Entry")


@dataclass(frozen=True, slots=True)
class CocoImage:
    """A picture of the index.

    Attributes:
        id: As annotations name it.
        file_name: As written; join it with `safe_join`.
        size: Of the picture.
    """

    id: int
    file_name: str
    size: ImageSize


@dataclass(frozen=True, slots=True, eq=False)
class CocoAnnotation:
    """One region of a picture.

    Attributes:
        id: Of the annotation.
        image_id: Of its picture, which is in the index.
        category_id: Of its class; `CocoIndex.category_of` gives the name.
        segmentations: Regions as written, whose union is the mask.
        is_crowd: Whether it covers a group of things.
    """

    id: int
    image_id: int
    category_id: int
    segmentations: tuple[CocoSegmentation, ...]
    is_crowd: bool = False


@dataclass(frozen=True, eq=False)
class AnnotationMask:
    """The union of some annotations of one picture; damage is told with file and annotation.

    Attributes:
        path: Of the JSON file.
        annotations: Whose regions are united.
        size: Of the picture.
    """

    path: Path
    annotations: tuple[CocoAnnotation, ...]
    size: ImageSize

    def read(self) -> NDArray[np.bool_]:
        """Return the mask, `bool (H, W)`.

        Raises:
            DataError: If a region is damaged.
        """
        mask = np.zeros(self.size, dtype=bool)
        for annotation in self.annotations:
            try:
                mask |= CocoMask(annotation.segmentations, self.size).read()
            except DataError as error:
                raise DataError(f"{str(self.path)!r}, annotation {annotation.id}: {error}") from (
                    error
                )
        return mask


@dataclass(frozen=True, eq=False)
class CocoIndex:
    """The records of one file.

    Attributes:
        path: Of the file.
        images: By id, in the file's order.
        annotations: By id, in the file's order.
        categories: Names by id.
        annotations_of: Annotations by the id of their picture; every picture has an entry.
    """

    path: Path
    images: dict[int, CocoImage] = field(default_factory=dict)
    annotations: dict[int, CocoAnnotation] = field(default_factory=dict)
    categories: dict[int, str] = field(default_factory=dict)
    annotations_of: dict[int, list[CocoAnnotation]] = field(default_factory=dict)

    def mask_of(self, *annotations: CocoAnnotation) -> AnnotationMask:
        """Return the union of one or more annotations of the same picture, not yet read."""
        size = self.images[annotations[0].image_id].size
        return AnnotationMask(self.path, annotations, size)

    def category_of(self, annotation: CocoAnnotation) -> str:
        """Return the name of an annotation's class.

        Raises:
            DataError: If the file has no such class.
        """
        try:
            return self.categories[annotation.category_id]
        except KeyError as error:
            raise DataError(
                f"{str(self.path)!r}, annotation {annotation.id}: there is no category "
                f"{annotation.category_id}: add it to 'categories' or correct the annotation."
            ) from error


def read_coco(path: Path) -> CocoIndex:
    """Read a COCO file of which every record must be sound.

    Args:
        path: Of the JSON file.

    Raises:
        DataError: If it is not there, is no JSON or has another structure; the sentence names the
            first offending record and says how many more there are.
    """
    index, faults = scan_coco(path)
    if faults:
        others = len(faults) - 1
        are = "record of this file is" if others == 1 else "records of this file are"
        raise DataError(faults[0] + (f" ({others} more {are} faulty.)" if others else ""))
    return index


def scan_coco(path: Path) -> tuple[CocoIndex, list[str]]:
    """Read a COCO file as far as it is sound and say what is wrong with the rest.

    Args:
        path: Of the JSON file.

    Returns:
        The sound records, and a sentence for every other one.

    Raises:
        DataError: If there is no such file, or it is not JSON with the three lists.
    """
    document = read_json(path)
    lists = [_list_of(document, key, path) for key in ("images", "categories", "annotations")]
    index, faults = CocoIndex(path), list[str]()
    for singular, entries in zip(("image", "category", "annotation"), lists, strict=True):
        for position, entry in enumerate(entries):
            try:
                _enter(index, singular, entry)
            except DataError as error:
                faults.append(f"{str(path)!r}, {_name(singular, entry, position)}: {error}")
    return index, faults


def _list_of(document: Any, key: str, path: Path) -> list[Any]:
    entries = document.get(key) if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise DataError(
            f"{str(path)!r} is not in COCO's format: it must be an object with the lists 'images', "
            f"'annotations' and 'categories', and {key!r} is not there."
        )
    return entries


def _name(singular: str, entry: Any, position: int) -> str:
    known = isinstance(entry, dict) and isinstance(entry.get("id"), int)
    return f"{singular} {entry['id']}" if known else f"{singular} number {position + 1}"


def _enter(index: CocoIndex, singular: str, entry: Any) -> None:
    if not isinstance(entry, dict):
        raise DataError(f"it must be an object, not {type(entry).__name__}.")
    key = _whole(entry, "id")
    if singular == "image":
        size = ImageSize(_whole(entry, "height", 1), _whole(entry, "width", 1))
        _add(index.images, key, CocoImage(key, _text(entry, "file_name"), size))
        index.annotations_of[key] = []
    elif singular == "category":
        _add(index.categories, key, _text(entry, "name"))
    else:
        annotation = _annotation(entry, key)
        if annotation.image_id not in index.images:
            raise DataError(f"there is no image {annotation.image_id} in 'images'.")
        _add(index.annotations, key, annotation)
        index.annotations_of[annotation.image_id].append(annotation)


def _add(table: dict[int, _Entry], key: int, entry: _Entry) -> None:
    if key in table:
        raise DataError(f"the id {key} is taken by an earlier record: give every record its own.")
    table[key] = entry


def _annotation(entry: Mapping[str, Any], key: int) -> CocoAnnotation:
    crowd = entry.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise DataError(f"'iscrowd' must be 0 or 1, not {crowd!r:.80}.")
    return CocoAnnotation(
        id=key,
        image_id=_whole(entry, "image_id"),
        category_id=_whole(entry, "category_id"),
        segmentations=_segmentations(entry),
        is_crowd=bool(crowd),
    )


def _segmentations(entry: Mapping[str, Any]) -> tuple[CocoSegmentation, ...]:
    # Only the outer form is checked here, for files have millions of points; a mask that is read
    # checks its own.
    value = entry.get("segmentation")
    regions = value if isinstance(value, list) else [value]
    if all(_is_run_lengths(region) for region in regions):
        return tuple(regions)
    if isinstance(value, list) and all(isinstance(polygon, list) for polygon in value):
        return (value,)
    raise DataError(
        "'segmentation' must be a list of flat polygons [[x0, y0, ...], ...] or run lengths "
        f"{{'size': [height, width], 'counts': ...}}, not {_got(entry, 'segmentation')}."
    )


def _is_run_lengths(region: Any) -> bool:
    return isinstance(region, dict) and {"size", "counts"} <= region.keys()


def _whole(entry: Mapping[str, Any], key: str, least: int | None = None) -> int:
    value = entry.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or (least and value < least):
        above = "" if least is None else " above zero"
        raise DataError(f"{key!r} must be a whole number{above}, not {_got(entry, key)}.")
    return value


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{key!r} must be a text, not {_got(entry, key)}.")
    return value


def _got(entry: Mapping[str, Any], key: str) -> str:
    return f"{entry[key]!r:.80}" if key in entry else "missing"
