"""Reads the questions about real photographs.

The photographs come out of installed packages (scikit-image, scikit-learn, matplotlib), which ship
them under free licences; `photographs/photographs.json` names package, file and digest of each, who
made it, and holds the outlines that were drawn for this project. One record:

    {"id": "coffee", "package": "skimage", "distribution": "scikit-image",
     "file": "data/coffee.png", "sha256": "...", "size": [400, 600],
     "title": ..., "creator": ..., "licence": ..., "source": ...,
     "objects": [{"name": "spoon", "polygons": [[x0, y0, x1, y1, ...]], "holes": [...]}],
     "questions": [{"id": "coffee-04", "kind": "naming", "object": "spoon", "text": "..."}]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from eval.nano.pictures import OutlinedShape, Picture, PictureObject
from eval.questions import Question
from lisa.errors import DataError, MissingDependencyError
from lisa.types import ImageSize

PHOTOGRAPHS = Path(__file__).parent / "photographs" / "photographs.json"
SCHEMA_VERSION = 1
KINDS = ("naming", "reasoning")


def load_photographs(path: Path = PHOTOGRAPHS) -> tuple[Picture, ...]:
    """Reads all photographs' outlines and questions; the pictures themselves are opened later.

    Raises:
        DataError: The file has another schema version, or a question asks for an unknown object.
        MissingDependencyError: A package that ships photographs is not installed.
    """
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.get("schema_version") != SCHEMA_VERSION:
        raise DataError(
            f"{path.name} has schema version {document.get('schema_version')}, "
            f"not {SCHEMA_VERSION}."
        )
    return tuple(_read_photograph(record) for record in document["photographs"])


def _read_photograph(record: Mapping[str, Any]) -> Picture:
    size = ImageSize(*record["size"])
    names = [item["name"] for item in record["objects"]]
    objects = tuple(
        PictureObject(
            item["name"],
            OutlinedShape(
                tuple(tuple(polygon) for polygon in item["polygons"]),
                tuple(tuple(polygon) for polygon in item.get("holes", ())),
                size,
            ),
        )
        for item in record["objects"]
    )
    questions = []
    for question in record["questions"]:
        if question["object"] not in names or question["kind"] not in KINDS:
            raise DataError(f"question {question['id']} asks for an unknown object or kind.")
        questions.append(
            Question(
                key=f"photographs/{question['id']}",
                group="photographs",
                target=names.index(question["object"]),
                text=question["text"],
                subsets=(question["kind"],),
            )
        )
    return Picture(_locate(record), record["sha256"], size, objects, tuple(questions))


def _locate(record: Mapping[str, Any]) -> Path:
    spec = find_spec(record["package"])
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(
            f"the photographs of {record['distribution']} are needed: "
            "pip install 'lisa-assistant[eval]'."
        )
    return Path(next(iter(spec.submodule_search_locations))) / str(record["file"])
