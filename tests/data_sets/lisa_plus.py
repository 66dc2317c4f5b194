"""LISA++'s four files as public programs read them, with pictures of COCO in LISA's layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.data_sets.drawing import Box, Colour, labels, packed, photograph, rectangle

SIZES = {"000000000009": (40, 56), "000000000025": (52, 44)}
BOXES: dict[str, dict[str, Box]] = {
    "000000000009": {"1060": (6, 8, 24, 30), "1061": (30, 10, 46, 26)},
    "000000000025": {"2110": (4, 6, 20, 40), "2111": (24, 8, 40, 44)},
}
NAMES = {"1060": "broccoli", "1061": "orange", "2110": "person", "2111": "person"}
_COLOURS: dict[int, Colour] = {0: (200, 200, 205), 1: (40, 130, 50), 2: (240, 150, 20)}


def mask(picture: str, instance: str) -> NDArray[np.bool_]:
    """The pixels of an instance."""
    return rectangle(SIZES[picture], BOXES[picture][instance])


def outline(box: Box) -> list[list[float]]:
    """The corners of a box as points."""
    left, top, right, bottom = (float(side) for side in box)
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def _instances() -> list[dict[str, Any]]:
    questions = {
        "000000000009": "Which parts of the meal can be eaten raw?",
        "000000000025": "Who could carry the luggage?",
    }
    return [
        {
            "img_path": f"{picture}.jpg",
            "Chinese Question": "…",
            "English Question": questions[picture],
            "English Answer": "; ".join(
                f"instance id is {name}, label name is {NAMES[name]}" for name in boxes
            ),
            "ID": list(boxes),
            "points": {
                name: {"label name": NAMES[name], "points": [outline(box)]}
                for name, box in boxes.items()
            },
        }
        for picture, boxes in BOXES.items()
    ]


def _marked(question: str, answers: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "image_path": f"{picture}.jpg",
            "Chinese Question": "…",
            "English Question": question,
            "Chinese Answer": "…",
            "English Answer": answers[picture],
            "info": _info(picture),
        }
        for picture in BOXES
    ]


def _info(picture: str) -> dict[str, Any]:
    """Regions in each of the forms that occur."""
    (first, box), (second, other) = BOXES[picture].items()
    if picture == "000000000009":
        return {first: {"polygon": [outline(box)]}, second: [outline(other)]}
    return {first: {"points": outline(box)}, second: packed(mask(picture, second))}


def _conversations() -> list[dict[str, Any]]:
    outputs = {
        "000000000009": "<person>: What is on the plate?\n<robot>: Broccoli<1060|broccoli> and an "
        "orange <1061|orange>.\n<person>: Is <1061| orange> sour?\n<robot>: It may be.",
        "000000000025": "<person>: Who waits?\n<robot>: Two people: [<2110| person>, "
        "<2111| person>].",
    }
    return [
        {"img_pth": f"{picture}.jpg", "output": outputs[picture], "info": _info(picture)}
        for picture in BOXES
    ]


def files() -> dict[str, list[dict[str, Any]]]:
    """The raw records by data set."""
    chains = {
        "000000000009": "Green vegetables are healthy, so it is the broccoli《1060|broccoli》.",
        "000000000025": "The luggage needs two people 《2110|person》《2111|person》 to carry it.",
    }
    captions = {
        "000000000009": "Broccoli《1060|broccoli》 lies beside an orange 《1061|orange》.",
        "000000000025": "Two people [《2110|person》《2111|person》] stand side by side.",
    }
    return {
        "LISA_Plus_Instance_Seg": _instances(),
        "LISA_Plus_COT": _marked("What should be chosen here, and why?", chains),
        "LISA_Plus_Caption": _marked("Describe the picture.", captions),
        "LISA_Plus_Conversations": _conversations(),
    }


def write(root: Path) -> None:
    """Write the folder `dataset` of LISA's layout."""
    for picture, size in SIZES.items():
        regions = [mask(picture, name) for name in BOXES[picture]]
        numbers = labels(size, 0, *enumerate(regions, 1))
        photograph(numbers, _COLOURS, root / "coco" / "train2017" / f"{picture}.jpg")
    for folder, records in files().items():
        path = root / "lisa_plus" / folder / "data.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
