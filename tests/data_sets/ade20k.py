"""ADE20K in the released form: `images` and `annotations`, label pictures in one grey channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.data_sets.drawing import Colour, ellipse, rectangle, scene, write_scenes

VOID, WALL, SKY, FLOOR, TREE, BED, PERSON, CAR, TELEVISION, FLAG = 0, 1, 3, 4, 5, 8, 13, 21, 90, 150
NAMES = {
    WALL: "wall",
    SKY: "sky",
    FLOOR: "floor",
    TREE: "tree",
    BED: "bed",
    PERSON: "person",
    CAR: "car",
    TELEVISION: "television receiver",
    FLAG: "flag",
}
_COLOURS: dict[int, Colour] = {
    WALL: (200, 190, 170),
    SKY: (110, 170, 240),
    FLOOR: (120, 80, 50),
    TREE: (30, 120, 40),
    BED: (220, 120, 160),
    PERSON: (230, 180, 140),
    CAR: (200, 30, 30),
    TELEVISION: (20, 20, 30),
    FLAG: (240, 220, 40),
}


def planted() -> dict[str, dict[str, NDArray[np.uint8]]]:
    """The label pictures by folder and name."""
    return {
        "training": {
            "ADE_train_00000001": scene(
                (40, 56),
                WALL,
                (FLOOR, rectangle, (0, 28, 56, 40)),
                (BED, rectangle, (6, 20, 34, 34)),
                (VOID, rectangle, (50, 0, 56, 6)),
            ),
            "ADE_train_00000002": scene(
                (56, 40),
                SKY,
                (TREE, ellipse, (2, 10, 20, 44)),
                (CAR, rectangle, (16, 36, 38, 50)),
                (VOID, rectangle, (0, 52, 40, 56)),
            ),
            "ADE_train_00000003": scene(
                (48, 48),
                WALL,
                (TELEVISION, rectangle, (8, 8, 28, 22)),
                (PERSON, ellipse, (28, 12, 42, 46)),
            ),
        },
        "validation": {
            "ADE_val_00000001": scene(
                (44, 60),
                SKY,
                (FLAG, rectangle, (8, 6, 28, 20)),
                (PERSON, ellipse, (34, 14, 50, 42)),
                (VOID, rectangle, (0, 40, 60, 44)),
            ),
        },
    }


def write(root: Path) -> None:
    """Write the folder of the release."""
    shown, numbers = root / "images/{folder}/{name}.jpg", root / "annotations/{folder}/{name}.png"
    write_scenes(planted(), _COLOURS, shown, numbers)
