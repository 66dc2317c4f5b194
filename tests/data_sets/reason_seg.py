"""ReasonSeg in the released form: pictures, annotations of the same name, and explanations."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.data_sets.drawing import Box, Colour, photograph, rectangle, scene

TARGET, IGNORED = 1, 255
_COLOURS: dict[int, Colour] = {0: (90, 140, 90), TARGET: (210, 60, 40), IGNORED: (40, 60, 190)}


@dataclass(frozen=True)
class Planted:
    """One picture and its annotation; boxes are in the order in which the file has them."""

    size: tuple[int, int]
    texts: tuple[str, ...]
    is_sentence: bool
    boxes: tuple[tuple[str, Box], ...]
    labels: NDArray[np.uint8]
    encoding: str = "utf-8"
    explanation: str | None = None


def _planted() -> dict[str, Planted]:
    coat, street, lamp, empty = (40, 56), (56, 40), (44, 60), (36, 36)
    return {
        # The ignored piece is smaller than the target, so it lies on top of it.
        "train/coat_hook": Planted(
            coat,
            ("What would I put on in the rain?", "Find what keeps one dry."),
            True,
            (("ignore", (20, 12, 28, 20)), ("target", (10, 6, 40, 34))),
            scene(
                coat,
                0,
                (TARGET, rectangle, (10, 6, 40, 34)),
                (IGNORED, rectangle, (20, 12, 28, 20)),
            ),
            explanation="A coat keeps the rain off, so it is what one puts on.",
        ),
        # Two targets, a relic, and a text that is no UTF-8.
        "train/street_cafe": Planted(
            street,
            ("the café’s “chairs”",),
            False,
            (
                ("target", (4, 30, 16, 50)),
                ("flag", (0, 0, 40, 56)),
                ("Target", (22, 30, 34, 50)),
            ),
            scene(
                street,
                0,
                (TARGET, rectangle, (4, 30, 16, 50)),
                (TARGET, rectangle, (22, 30, 34, 50)),
            ),
            encoding="cp1252",
        ),
        "val/lamp": Planted(
            lamp,
            ("Which thing here gives light at night?",),
            True,
            (("target", (24, 4, 36, 40)),),
            scene(lamp, 0, (TARGET, rectangle, (24, 4, 36, 40))),
        ),
        "test/nothing": Planted(
            empty, ("something to drink",), False, (), np.zeros(empty, dtype=np.uint8)
        ),
    }


PLANTED = _planted()


def _shape(label: str, box: Box) -> dict[str, Any]:
    # OpenCV draws the outline as well, so the last column and row of the region are corners.
    left, top, right, bottom = box[0], box[1], box[2] - 1, box[3] - 1
    points = [[left, top], [right + 0.9, top], [right, bottom + 0.5], [left, bottom]]
    return {
        "label": label,
        "labels": [label],
        "shape_type": "polygon",
        "image_name": "",
        "points": points,
        "group_id": None,
        "group_ids": [None],
        "flags": {},
    }


def write(root: Path) -> None:
    """Write the folder `ReasonSeg`."""
    explanations = []
    for name, planted in PLANTED.items():
        picture = root / f"{name}.jpg"
        photograph(planted.labels, _COLOURS, picture)
        annotation = {
            "text": list(planted.texts),
            "is_sentence": planted.is_sentence,
            "shapes": [_shape(label, box) for label, box in planted.boxes],
        }
        document = json.dumps(annotation, indent=1, ensure_ascii=False)
        picture.with_suffix(".json").write_bytes(document.encode(planted.encoding))
        if planted.explanation:
            entry = {"query": planted.texts[0], "outputs": planted.explanation}
            explanations.append({"image": picture.name, **entry})
    (root / "explanatory").mkdir(exist_ok=True)
    (root / "explanatory" / "train.json").write_text(json.dumps(explanations), encoding="utf-8")
