"""Pictures in the style of COCO 2014 with planted things, for the sets whose refs point at them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.data_sets.drawing import (
    Box,
    Colour,
    coco_annotation,
    labels,
    photograph,
    polygon,
    rectangle,
)

CATEGORIES = [
    {"supercategory": "person", "id": 1, "name": "person"},
    {"supercategory": "animal", "id": 18, "name": "dog"},
]
_COLOURS: tuple[Colour, ...] = ((120, 160, 120), (220, 40, 40), (40, 60, 220), (240, 220, 60))


@dataclass(frozen=True)
class Thing:
    """A thing of one or more boxes, which may overlap; a crowd is written as plain run lengths."""

    id: int
    category: int
    boxes: tuple[Box, ...]
    is_crowd: bool = False


@dataclass(frozen=True)
class Picture:
    id: int
    size: tuple[int, int]
    things: tuple[Thing, ...]
    half: str = "train2014"

    @property
    def file_name(self) -> str:
        return f"COCO_{self.half}_{self.id:012d}.jpg"

    def mask(self, *ids: int) -> NDArray[np.bool_]:
        """The union of some things; of all the boxes of each."""
        mask = np.zeros(self.size, dtype=bool)
        for thing in self.things:
            for box in thing.boxes if thing.id in ids else ():
                mask |= rectangle(self.size, box)
        return mask

    def show(self, path: Path) -> None:
        regions = [(n, self.mask(thing.id)) for n, thing in enumerate(self.things, 1)]
        photograph(labels(self.size, 0, *regions), dict(enumerate(_COLOURS)), path)


def plain_run_lengths(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Uncompressed run lengths, as COCO writes its crowds."""
    flat = mask.flatten(order="F")
    borders = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *borders, flat.size]).tolist()
    return {"size": list(mask.shape), "counts": [0, *runs] if flat[0] else runs}


def instances(pictures: Iterable[Picture]) -> dict[str, Any]:
    """The content of `instances.json`."""
    images, annotations = [], []
    for picture in pictures:
        images.append(
            {
                "license": 1,
                "file_name": picture.file_name,
                "coco_url": "",
                "height": picture.size[0],
                "width": picture.size[1],
                "date_captured": "2013-11-21 23:06:41",
                "flickr_url": "",
                "id": picture.id,
            }
        )
        for thing in picture.things:
            mask = picture.mask(thing.id)
            polygons = [polygon(box) for box in thing.boxes]
            shape = plain_run_lengths(mask) if thing.is_crowd else polygons
            annotations.append(
                {
                    **coco_annotation(thing.id, picture.id, thing.category, mask, shape),
                    "area": float(mask.sum()),
                    "iscrowd": int(thing.is_crowd),
                }
            )
    return {
        "info": {},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": CATEGORIES,
    }


def sentence(sent_id: int, text: str) -> dict[str, Any]:
    """One entry of a ref's `sentences`."""
    return {"tokens": text.split(), "raw": text.upper(), "sent_id": sent_id, "sent": text}
