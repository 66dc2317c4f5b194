"""A user's own data as LabelMe saves it: one JSON file a picture."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tests.data_sets.own_jsonl import CUP, SIZES, write_pictures

POLYGON = [[CUP[0], CUP[1]], [CUP[2], CUP[1]], [CUP[2], CUP[3]], [CUP[0], CUP[3]]]


def shape(label: str, kind: str, points: list[list[float]]) -> dict[str, Any]:
    """One shape with all the keys that LabelMe writes."""
    return {
        "label": label,
        "points": points,
        "group_id": None,
        "description": "",
        "shape_type": kind,
        "flags": {},
        "mask": None,
    }


def document(name: str, *shapes: dict[str, Any], **others: Any) -> dict[str, Any]:
    """What a file holds."""
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": f"{name}.jpg",
        "imageData": None,
        "imageHeight": SIZES[name][0],
        "imageWidth": SIZES[name][1],
        **others,
    }


def write(root: Path) -> None:
    """Write a picture beside its file, one in another folder, and one inside its file."""
    write_pictures(root)
    pictures = root / "pictures"
    embedded = base64.b64encode((pictures / "3.jpg").read_bytes()).decode()
    files = {
        "pictures/1.json": document(
            "1",
            shape("cup", "polygon", POLYGON),
            shape("cup", "rectangle", [[50, 34], [40, 28]]),
            shape("Which of these rolls?", "circle", [[40, 14], [44, 17]]),
        ),
        "labels/2.json": document(
            "2", shape("cup", "polygon", POLYGON), imagePath="..\\pictures\\2.jpg"
        ),
        "labels/3.json": document(
            "3", shape("cup", "rectangle", [[10, 8], [30, 26]]), imageData=embedded
        ),
    }
    (pictures / "3.jpg").unlink()
    (pictures / "4.jpg").unlink()
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2), encoding="utf-8")
