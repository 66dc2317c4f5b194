"""Mapillary Vistas 2.0 in the released form, with the first and the last of its 124 labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.data_sets.drawing import Colour, ellipse, rectangle, scene, write_scenes


def _label(name: str, readable: str, colour: Colour, instances: bool) -> dict[str, Any]:
    return {
        "color": list(colour),
        "instances": instances,
        "readable": readable,
        "name": name,
        "evaluate": name != "void--unlabeled",
    }


LABELS = [
    _label("animal--bird", "Bird", (165, 42, 42), True),
    _label("construction--flat--road", "Road", (128, 64, 128), False),
    _label(
        "marking--discrete--crosswalk-zebra", "Lane Marking - Crosswalk", (255, 255, 255), False
    ),
    _label("nature--sky", "Sky", (70, 130, 180), False),
    _label("object--traffic-sign--front", "Traffic Sign (Front)", (220, 220, 0), True),
    _label("object--vehicle--car", "Car", (0, 0, 142), True),
    _label("void--unlabeled", "Unlabeled", (0, 0, 0), False),
]
BIRD, ROAD, CROSSWALK, SKY, SIGN, CAR, UNLABELED = range(7)


def planted() -> dict[str, dict[str, NDArray[np.uint8]]]:
    """The label pictures by folder and name."""
    return {
        "training": {
            "_1Gn_xkw7sa_i9GU4mkxxQ": scene(
                (40, 56),
                SKY,
                (ROAD, rectangle, (0, 22, 56, 40)),
                (CAR, rectangle, (8, 16, 30, 32)),
                (SIGN, ellipse, (40, 4, 52, 16)),
            ),
            "0BQYG7SX9EKvSbHNjkfGpA": scene(
                (56, 44),
                ROAD,
                (SKY, rectangle, (0, 0, 44, 18)),
                (CROSSWALK, rectangle, (6, 36, 38, 46)),
                (BIRD, ellipse, (26, 4, 40, 14)),
            ),
        },
        "validation": {
            "-3qJdzDqlsk2vAJOgs2dcg": scene(
                (44, 64),
                SKY,
                (ROAD, rectangle, (0, 20, 64, 44)),
                (CAR, rectangle, (20, 14, 48, 34)),
                (UNLABELED, rectangle, (0, 40, 64, 44)),
            ),
        },
    }


def write(root: Path) -> None:
    """Write the folder of the release."""
    palette: list[Colour] = [tuple(label["color"]) for label in LABELS]
    root.mkdir(parents=True, exist_ok=True)
    config = {"labels": LABELS, "version": "2.0"}
    (root / "config_v2.0.json").write_text(json.dumps(config), encoding="utf-8")
    shown, numbers = root / "{folder}/images/{name}.jpg", root / "{folder}/v2.0/labels/{name}.png"
    write_scenes(planted(), dict(enumerate(palette)), shown, numbers, palette)
