"""Reads the fixed scenes.

`scenes/scenes.jsonl` has one scene a line (masks as COCO run lengths, of visible pixels only, back
to front), `scenes/images/` the pictures. One record:

    {"id": "0007", "image": "images/0007.webp", "sha256": "...", "size": [256, 256], "seed": 900007,
     "objects": [{"name": "kettle", "cutout": "household/kettle.png", "mask": {...}}],
     "questions": [{"group": "naming", "object": 0, "text": "...", "held_out_cutout": false}]}

A question of the group "absent" has the object null; a "click" has a "point" `[x, y]` in place of
the text, a "box" a "box" `[x0, y0, x1, y1]`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.nano.pictures import GROUPS, HELD_OUT_CUTOUTS, Picture, PictureObject
from eval.questions import Question
from lisa.errors import DataError
from lisa.types import ImageSize

SCENES = Path(__file__).parent / "scenes"
RECORDS = "scenes.jsonl"


def load_scenes(folder: Path = SCENES) -> tuple[Picture, ...]:
    """Reads the scenes' objects and questions; the pictures themselves are opened later.

    Raises:
        DataError: The folder holds no scenes, or a record is malformed.
    """
    path = folder / RECORDS
    if not path.is_file():
        raise DataError(
            f"{path} is missing: take it from the repository, or build the scenes with "
            "`python -m eval.nano.build_scenes`."
        )
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        return tuple(_read_scene(json.loads(line), folder) for line in lines)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} has a record of another form: {error!r}.") from error


def _read_scene(record: Mapping[str, Any], folder: Path) -> Picture:
    objects = tuple(PictureObject(item["name"], item["mask"]) for item in record["objects"])
    questions = tuple(
        _read_question(question, f"scenes/{record['id']}/{index}")
        for index, question in enumerate(record["questions"])
    )
    return Picture(
        folder / record["image"], record["sha256"], ImageSize(*record["size"]), objects, questions
    )


def _read_question(record: Mapping[str, Any], key: str) -> Question:
    group = record["group"]
    if group not in GROUPS:
        raise DataError(f"question {key} has the unknown group {group!r}.")
    x_y, box = record.get("point"), record.get("box")
    return Question(
        key=key,
        group=group,
        target=record["object"],
        text=record.get("text"),
        point=None if x_y is None else (float(x_y[0]), float(x_y[1])),
        box=None if box is None else (float(box[0]), float(box[1]), float(box[2]), float(box[3])),
        subsets=(HELD_OUT_CUTOUTS,) if record.get("held_out_cutout") else (),
    )
