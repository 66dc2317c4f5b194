"""A co-saliency set in CoCA's layout: groups of pictures, and masks of what they share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.data_sets.drawing import Colour, ellipse, label_picture, photograph

_COLOURS: dict[int, Colour] = {0: (120, 160, 120), 1: (220, 40, 40)}
MASKS: dict[str, NDArray[np.bool_]] = {
    "accordion/1": ellipse((40, 56), (8, 6, 40, 30)),
    "accordion/2": ellipse((52, 44), (4, 20, 30, 48)),
    "ball/cafe.5": ellipse((36, 60), (30, 8, 52, 30)),
}


def write(root: Path) -> None:
    """Write the folder of the data set."""
    for name, mask in MASKS.items():
        photograph(mask.astype(np.uint8), _COLOURS, root / "image" / f"{name}.jpg")
        label_picture(mask.astype(np.uint8) * 255, root / "binary" / f"{name}.png")


def write_maps(folder: Path) -> None:
    """Write the right answers as grey maps."""
    for name, mask in MASKS.items():
        label_picture(mask.astype(np.uint8) * 255, folder / f"{name}.png")
