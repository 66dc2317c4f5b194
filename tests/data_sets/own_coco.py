"""A user's own data as a COCO instances JSON beside its pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.data_sets.drawing import coco_annotation, packed, polygon, rectangle
from tests.data_sets.own_jsonl import SIZES, cup, plate, write_pictures

SECOND_CUP = (36, 4, 42, 10)
CROWD = (0, 28, 20, 34)


def document() -> dict[str, Any]:
    """What the JSON file holds; picture 4 has no annotations."""
    regions = [
        (1, 1, 10, [polygon((10, 8, 30, 26))], cup("1"), 0),
        (2, 1, 20, packed(plate("1")), plate("1"), 0),
        (3, 1, 10, [polygon(SECOND_CUP)], rectangle(SIZES["1"], SECOND_CUP), 0),
        (4, 1, 10, packed(rectangle(SIZES["1"], CROWD)), rectangle(SIZES["1"], CROWD), 1),
        (5, 2, 20, packed(plate("2")), plate("2"), 0),
        (6, 2, 10, packed(cup("2")), cup("2"), 1),
        (7, 3, 30, [polygon((10, 8, 30, 26))], cup("3"), 0),
    ]
    return {
        "info": {"description": "cups and plates"},
        "licenses": [],
        "images": [
            {"id": int(name), "file_name": f"{name}.jpg", "height": size[0], "width": size[1]}
            for name, size in SIZES.items()
        ],
        "annotations": [
            {
                **coco_annotation(number, image, category, np.asarray(mask), segmentation),
                "iscrowd": crowd,
            }
            for number, image, category, segmentation, mask, crowd in regions
        ],
        "categories": [
            {"id": 10, "name": "cup", "supercategory": "kitchen"},
            {"id": 20, "name": "plate", "supercategory": "kitchen"},
            {"id": 30, "name": "What could I drink from?", "supercategory": "kitchen"},
        ],
    }


def write(root: Path) -> None:
    """Write `annotations.json` and, as many tools do, the pictures in a folder beside it."""
    write_pictures(root)
    (root / "pictures").rename(root / "images")
    (root / "annotations.json").write_text(json.dumps(document()), encoding="utf-8")
