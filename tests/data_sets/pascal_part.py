"""PASCAL-Part as VLPart's converter writes it: parts as packed run lengths, ids from 0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.data_sets.drawing import (
    Colour,
    coco_annotation,
    ellipse,
    labels,
    packed,
    photograph,
    rectangle,
)

LICENSE_PLATE, CAR_DOOR, DOG_HEAD, DOG_TORSO, PLANT_POT = 25, 27, 49, 58, 84
CATEGORIES = [
    {"id": LICENSE_PLATE, "name": "car:license plate", "abbr": "car:liplate"},
    {"id": CAR_DOOR, "name": "car:door"},
    {"id": DOG_HEAD, "name": "dog:head"},
    {"id": DOG_TORSO, "name": "dog:torso"},
    {"id": PLANT_POT, "name": "potted plant:pot"},
]
EXPRESSIONS = {
    LICENSE_PLATE: ("car license plate", "the license plate of the car"),
    CAR_DOOR: ("car door", "the door of the car"),
    DOG_HEAD: ("dog head", "the head of the dog"),
    DOG_TORSO: ("dog torso", "the torso of the dog"),
    PLANT_POT: ("potted plant pot", "the pot of the potted plant"),
}
_COLOURS: dict[int, Colour] = {
    0: (150, 190, 150),
    LICENSE_PLATE: (240, 240, 230),
    CAR_DOOR: (200, 30, 30),
    DOG_HEAD: (90, 60, 30),
    DOG_TORSO: (170, 120, 70),
    PLANT_POT: (200, 100, 50),
}


def planted(split: str) -> dict[str, list[tuple[int, NDArray[np.bool_]]]]:
    """Category and mask of every annotation by the picture's name, in the file's order."""
    car, dog, pot = (40, 60), (44, 56), (56, 42)
    pictures = {
        "train": {
            "2008_000008": [
                (CAR_DOOR, rectangle(car, (18, 10, 40, 30))),
                (LICENSE_PLATE, rectangle(car, (44, 24, 58, 32))),
            ],
            "2008_000015": [
                (DOG_TORSO, ellipse(dog, (18, 14, 52, 40))),
                (DOG_HEAD, ellipse(dog, (4, 6, 22, 24))),
            ],
        },
        "val": {"2008_000002": [(PLANT_POT, rectangle(pot, (12, 32, 32, 54)))]},
    }
    return pictures[split]


def annotations(split: str) -> dict[str, Any]:
    """The content of the split's JSON file."""
    images: list[dict[str, Any]] = []
    records: list[dict[str, Any]] = []
    for name, regions in planted(split).items():
        image_id = int(name.replace("_", ""))
        for category, mask in regions:
            record = coco_annotation(len(records), image_id, category, mask, packed(mask))
            _, _, width, height = record["bbox"]
            # The converter notes the area of the box.
            records.append({**record, "area": width * height})
        height, width = regions[0][1].shape
        images.append(
            {"id": image_id, "file_name": f"{name}.jpg", "height": height, "width": width}
        )
    categories = [dict(category) for category in CATEGORIES]
    return {"categories": categories, "images": images, "annotations": records}


def write(root: Path) -> None:
    """Write the folder `pascal_part`."""
    root.mkdir(parents=True, exist_ok=True)
    for split in ("train", "val"):
        (root / f"{split}.json").write_text(json.dumps(annotations(split)), encoding="utf-8")
        for name, regions in planted(split).items():
            shown = labels(regions[0][1].shape, 0, *regions)
            path = root / "VOCdevkit" / "VOC2010" / "JPEGImages" / f"{name}.jpg"
            photograph(shown, _COLOURS, path)
