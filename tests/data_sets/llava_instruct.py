"""LLaVA-Instruct-150K in the released form, in LISA's layout: the file, and pictures of COCO."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.data_sets.drawing import Colour, ellipse, labels, photograph, rectangle

PLATE, FRUIT, DOG = 1, 2, 3
_COLOURS: dict[int, Colour] = {
    0: (150, 110, 70),
    PLATE: (240, 240, 235),
    FRUIT: (240, 150, 20),
    DOG: (60, 40, 30),
}
ITEMS: list[dict[str, Any]] = [
    {
        "id": "000000000009",
        "image": "000000000009.jpg",
        "conversations": [
            {"from": "human", "value": "What lies on the plate?\n<image>"},
            {"from": "gpt", "value": "An orange lies on it."},
            {"from": "human", "value": "Is the plate full?"},
            {"from": "gpt", "value": "No, there is room for more."},
        ],
    },
    {
        "id": "000000000025",
        "image": "000000000025.jpg",
        "conversations": [
            {"from": "human", "value": "<image>\nDescribe the picture."},
            {"from": "gpt", "value": "A dark dog stands on a brown floor."},
        ],
    },
    {
        "id": "000000000009",
        "image": "000000000009.jpg",
        "conversations": [
            {"from": "human", "value": "<image>\nWho might have served this?"},
            {"from": "gpt", "value": "Somebody who wants to offer a light snack."},
        ],
    },
]


def write(root: Path) -> None:
    """Write the folder `dataset` of LISA's layout."""
    table, yard = (40, 56), (52, 44)
    pictures = root / "coco" / "train2017"
    photograph(
        labels(
            table,
            0,
            (PLATE, ellipse(table, (8, 6, 48, 36))),
            (FRUIT, ellipse(table, (22, 14, 36, 28))),
        ),
        _COLOURS,
        pictures / "000000000009.jpg",
    )
    photograph(
        labels(yard, 0, (DOG, rectangle(yard, (10, 20, 34, 46)))),
        _COLOURS,
        pictures / "000000000025.jpg",
    )
    path = root / "llava_dataset" / "llava_instruct_150k.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(ITEMS), encoding="utf-8")
