"""PACO-LVIS in LISA's layout: objects as polygons, their parts as packed run lengths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.data_sets.drawing import (
    Box,
    Colour,
    coco_annotation,
    ellipse,
    labels,
    packed,
    photograph,
    polygon,
    rectangle,
)

MOUSE, TRASH_CAN, TRASH_CAN_LID, MOUSE_BODY = 51, 72, 90, 143
CATEGORIES = [
    {"supercategory": "OBJECT", "id": MOUSE, "name": "mouse_(computer_equipment)"},
    {"supercategory": "OBJECT", "id": TRASH_CAN, "name": "trash_can"},
    {"supercategory": "PART", "id": TRASH_CAN_LID, "name": "trash_can:lid"},
    {"supercategory": "PART", "id": MOUSE_BODY, "name": "mouse_(computer_equipment):body"},
]
EXPRESSIONS = {
    MOUSE: ("mouse",),
    TRASH_CAN: ("trash_can",),
    TRASH_CAN_LID: ("trash_can lid", "the lid of the trash_can"),
    MOUSE_BODY: ("mouse body", "the body of the mouse"),
}
_COLOURS: dict[int, Colour] = {
    0: (150, 190, 150),
    MOUSE: (40, 40, 60),
    TRASH_CAN: (90, 110, 200),
    TRASH_CAN_LID: (230, 60, 60),
    MOUSE_BODY: (230, 210, 60),
}
# Split -> image id -> file name, size, object (category, box), part (category, box of its ellipse).
PICTURES: dict[str, dict[int, tuple[str, tuple[int, int], tuple[int, Box], tuple[int, Box]]]] = {
    "train": {
        9: (
            "train2017/000000000009.jpg",
            (40, 56),
            (TRASH_CAN, (14, 6, 40, 38)),
            (TRASH_CAN_LID, (14, 6, 40, 16)),
        ),
        25: (
            "train2017/000000000025.jpg",
            (52, 44),
            (MOUSE, (8, 10, 36, 46)),
            (MOUSE_BODY, (10, 22, 34, 44)),
        ),
    },
    "val": {
        139: (
            "val2017/000000000139.jpg",
            (48, 60),
            (TRASH_CAN, (20, 10, 50, 46)),
            (TRASH_CAN_LID, (20, 10, 50, 20)),
        ),
    },
}


def planted(split: str) -> dict[int, list[tuple[int, NDArray[np.bool_]]]]:
    """Category and mask of every annotation by image id, in the file's order."""
    return {
        image_id: [(whole, rectangle(size, box)), (part, ellipse(size, inner))]
        for image_id, (_, size, (whole, box), (part, inner)) in PICTURES[split].items()
    }


def annotations(split: str) -> dict[str, Any]:
    """The content of the split's JSON file."""
    images: list[dict[str, Any]] = []
    records: list[dict[str, Any]] = []
    regions = planted(split)
    for image_id, (file_name, size, (_, box), _) in PICTURES[split].items():
        images.append(
            {
                "id": image_id,
                "file_name": file_name,
                "height": size[0],
                "width": size[1],
                "license": 1,
                "neg_category_ids": [],
                "not_exhaustive_category_ids": [],
            }
        )
        object_id = len(records) + 1
        for (category, mask), shape in zip(
            regions[image_id], ([polygon(box)], packed(regions[image_id][1][1])), strict=True
        ):
            records.append(
                {
                    **coco_annotation(len(records) + 1, image_id, category, mask, shape),
                    "obj_ann_id": object_id,
                    "attribute_ids": [],
                }
            )
    return {
        "info": {},
        "licenses": [],
        "attributes": [{"id": 0, "name": "black"}],
        "categories": [dict(category) for category in CATEGORIES],
        "images": images,
        "annotations": records,
    }


def write(root: Path) -> None:
    """Write what LISA's folder `dataset` holds of it."""
    folder = root / "vlpart" / "paco" / "annotations"
    folder.mkdir(parents=True, exist_ok=True)
    for split, pictures in PICTURES.items():
        path = folder / f"paco_lvis_v1_{split}.json"
        path.write_text(json.dumps(annotations(split)), encoding="utf-8")
        for image_id, (file_name, size, _, _) in pictures.items():
            shown = labels(size, 0, *planted(split)[image_id])
            photograph(shown, _COLOURS, root / "coco" / file_name)
