from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lisa.data.faults import DamagedRecord
from lisa.data.readers.own_labelme import LabelMe
from lisa.data.records import Expression
from lisa.errors import ConfigError, DataError
from tests.data_sets import own_labelme
from tests.data_sets.drawing import rectangle
from tests.data_sets.own_jsonl import SIZES, cup
from tests.data_sets.own_labelme import POLYGON, document, shape


@pytest.fixture
def root(tmp_path: Path) -> Path:
    own_labelme.write(tmp_path)
    return tmp_path


def test_records(root: Path):
    reader = LabelMe(root)
    keys = [reader[i].key for i in range(len(reader))]
    assert keys == ["labels/2", "labels/3", "pictures/1"]
    assert reader[0].image == root / "pictures" / "2.jpg"
    assert isinstance(reader[1].image, bytes)
    assert np.array_equal(reader[1].targets[0].mask.read(), cup("3"))
    record = reader[2]
    assert record.size == SIZES["1"]
    cups, round_one = record.targets
    assert cups.expressions == (Expression("cup"),)
    both = cup("1") | rectangle(SIZES["1"], (40, 28, 50, 34))
    assert np.array_equal(cups.mask.read() & both, both)
    assert round_one.expressions[0].wording == "sentence"


def test_a_circle_is_round(root: Path):
    circle = LabelMe(root)[2].targets[1].mask.read()
    rows, columns = np.nonzero(circle)
    assert np.hypot(columns + 0.5 - 40, rows + 0.5 - 14).max() <= 5
    assert abs(circle.sum() - np.pi * 25) < 5


def write_one(root: Path, content: Any) -> LabelMe:
    path = root / "pictures" / "one.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return LabelMe(path)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ({"label": ""}, "shape 1: its 'label' must be a text"),
        ({"shape_type": "line"}, "'line' is not read"),
        ({"shape_type": "circle"}, "a circle has two points; this one has 4"),
        ({"points": [[1, 2], [3, 4]]}, "three points or more; this one has 2"),
        ({"points": [[1, 2], [3, "4"]]}, r"a list of \[x, y\]"),
        ({"points": None}, r"a list of \[x, y\]"),
    ],
)
def test_damaged_shapes(root: Path, damage: dict[str, Any], sentence: str):
    reader = write_one(root, document("1", {**shape("cup", "polygon", POLYGON), **damage}, "x"))
    with pytest.raises(DamagedRecord, match=sentence) as caught:
        reader[0]
    assert caught.value.place == str(root / "pictures" / "one.json")
    assert caught.value.problems[1].startswith("shape 2: it must be an object")


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        ({"imagePath": "none.jpg"}, "is not there"),
        ({"imagePath": None}, "neither 'imageData' nor 'imagePath'"),
        ({"imagePath": "../../secret.jpg"}, "leaves the folder"),
        ({"imagePath": "/etc/secret.jpg"}, "leaves the folder"),
        ({"imageData": "no base64!"}, "is no base64 text"),
        ({"imageData": "aGVsbG8="}, "none that can be read"),
        ({"imageHeight": 41}, "imageHeight and imageWidth are 41 and 56, but the picture has 40"),
        ({"shapes": []}, "there are no shapes"),
        ({"shapes": None}, "no file of LabelMe's"),
    ],
)
def test_damaged_files(root: Path, others: dict[str, Any], sentence: str):
    content = document("1", **{"shapes": [shape("cup", "polygon", POLYGON)], **others})
    with pytest.raises(DataError, match=sentence):
        write_one(root, content)[0]


def test_files_and_splits(root: Path, tmp_path: Path):
    with pytest.raises(DataError, match="is no JSON at line 1"):
        write_one(root, "{")[0]
    with pytest.raises(ConfigError, match="no split 'val'"):
        LabelMe(root, "val")
    with pytest.raises(IndexError):
        LabelMe(root)[9]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no \*\.json files"):
        LabelMe(tmp_path / "empty")
    with pytest.raises(DataError, match="not complete"):
        LabelMe(tmp_path / "none")
