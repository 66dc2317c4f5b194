"""COCO-Stuff in LISA's layout: `cocostuff/train2017/*.png` beside `coco/train2017/*.jpg`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.data_sets.drawing import Colour, ellipse, rectangle, scene, write_scenes

# One less than in the release's labels.txt, which counts "unlabeled" as 0.
PERSON, DOG, BANNER, BUILDING_OTHER, GRASS, SKY, WALL_BRICK, WOOD, VOID = (
    0,
    17,
    91,
    95,
    123,
    156,
    170,
    181,
    255,
)
NAMES = {
    PERSON: "person",
    DOG: "dog",
    BANNER: "banner",
    GRASS: "grass",
    SKY: "sky",
    WOOD: "wood",
}
_COLOURS: dict[int, Colour] = {
    PERSON: (230, 180, 140),
    DOG: (120, 80, 40),
    BANNER: (230, 40, 160),
    BUILDING_OTHER: (150, 150, 150),
    GRASS: (60, 160, 50),
    SKY: (110, 170, 240),
    WALL_BRICK: (170, 80, 60),
    WOOD: (190, 140, 80),
}


def planted() -> dict[str, dict[str, NDArray[np.uint8]]]:
    """The label pictures by folder and name."""
    return {
        "train2017": {
            "000000000009": scene(
                (40, 56),
                SKY,
                (GRASS, rectangle, (0, 24, 56, 40)),
                (DOG, ellipse, (6, 18, 28, 34)),
                (PERSON, rectangle, (36, 8, 46, 34)),
                (VOID, rectangle, (0, 0, 4, 4)),
            ),
            "000000000025": scene(
                (52, 44),
                WALL_BRICK,
                (BUILDING_OTHER, rectangle, (0, 0, 44, 10)),
                (BANNER, rectangle, (6, 14, 38, 24)),
                (PERSON, ellipse, (14, 26, 30, 52)),
            ),
        },
        "val2017": {
            "000000000139": scene(
                (48, 60),
                WOOD,
                (DOG, ellipse, (10, 12, 44, 40)),
                (VOID, rectangle, (50, 0, 60, 8)),
            ),
        },
    }


def write(root: Path) -> None:
    """Write what LISA's folder `dataset` holds of it."""
    shown, numbers = root / "coco/{folder}/{name}.jpg", root / "cocostuff/{folder}/{name}.png"
    write_scenes(planted(), _COLOURS, shown, numbers)
