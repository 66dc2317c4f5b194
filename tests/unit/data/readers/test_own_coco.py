from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lisa.data.faults import DamagedRecord
from lisa.data.readers.own_coco import CocoInstances
from lisa.data.records import Expression
from lisa.errors import ConfigError, DataError
from tests.data_sets import own_coco
from tests.data_sets.drawing import rectangle
from tests.data_sets.own_jsonl import SIZES, cup, plate


@pytest.fixture
def root(tmp_path: Path) -> Path:
    own_coco.write(tmp_path)
    return tmp_path


def changed(root: Path, change: Callable[[dict[str, Any]], object]) -> CocoInstances:
    document = own_coco.document()
    change(document)
    (root / "annotations.json").write_text(json.dumps(document))
    return CocoInstances(root)


def test_records(root: Path):
    reader = CocoInstances(root / "annotations.json")
    assert [reader[i].key for i in range(len(reader))] == ["1", "2", "3"]
    first = reader[0]
    assert first.image == root / "images" / "1.jpg"
    assert first.size == SIZES["1"]
    cups, plates = first.targets
    assert cups.expressions == (Expression("cup"),)
    both = cup("1") | rectangle(SIZES["1"], own_coco.SECOND_CUP)
    assert np.array_equal(cups.mask.read() & both, both)
    assert cups.ignore is not None
    assert np.array_equal(cups.ignore.read(), rectangle(SIZES["1"], own_coco.CROWD))
    assert np.array_equal(plates.mask.read(), plate("1"))
    assert plates.ignore is None


def test_a_crowd_alone_is_no_target(root: Path):
    (only,) = CocoInstances(root)[1].targets
    assert only.expressions[0].text == "plate"


def test_a_question_may_be_a_category(root: Path):
    (only,) = CocoInstances(root)[2].targets
    assert only.expressions == (Expression("What could I drink from?", "sentence"),)


@pytest.mark.parametrize(
    ("json_at", "pictures_at"),
    [
        ("a.json", "."),
        ("a.json", "images"),
        ("annotations/a.json", "."),
        ("annotations/a.json", "images"),
        ("annotations/instances_val2017.json", "val2017"),
    ],
)
def test_where_pictures_may_lie(tmp_path: Path, json_at: str, pictures_at: str):
    own_coco.write(tmp_path / "made")
    path, folder = tmp_path / "set" / json_at, tmp_path / "set" / pictures_at
    path.parent.mkdir(parents=True)
    folder.mkdir(parents=True, exist_ok=True)
    (tmp_path / "made" / "annotations.json").rename(path)
    for picture in (tmp_path / "made" / "images").iterdir():
        picture.rename(folder / picture.name)
    assert CocoInstances(path)[0].image == folder / "1.jpg"


def test_files_and_splits(root: Path):
    with pytest.raises(ConfigError, match="no split 'train'"):
        CocoInstances(root, "train")
    with pytest.raises(DataError, match="not complete"):
        CocoInstances(root / "none.json")
    (root / "other.json").write_text("{}")
    with pytest.raises(DataError, match="has 2 JSON files"):
        CocoInstances(root)
    with pytest.raises(DataError, match="not in COCO's format"):
        CocoInstances(root / "other.json")
    (root / "images").rename(root / "elsewhere")
    with pytest.raises(DataError, match=r"none of the pictures.*such as '1\.jpg'"):
        CocoInstances(root / "annotations.json")


def test_a_file_without_annotations(root: Path):
    with pytest.raises(DataError, match="no annotated pictures"):
        changed(root, lambda document: document["annotations"].clear())


def test_damaged_annotations_are_records_that_raise(root: Path):
    reader = changed(root, lambda d: d["annotations"][0].update(image_id=99))
    assert len(reader) == 4
    with pytest.raises(DamagedRecord, match="there is no image 99") as caught:
        reader[3]
    assert caught.value.place == f"{root / 'annotations.json'}, annotation 1"
    with pytest.raises(IndexError):
        reader[4]


def test_damage_of_a_picture_is_told_at_once(root: Path):
    def damage(document: dict[str, Any]) -> None:
        document["annotations"][0]["category_id"] = 7
        document["annotations"][2]["segmentation"] = []

    with pytest.raises(DamagedRecord, match=r"image 1 \(1.jpg\)") as caught:
        changed(root, damage)[0]
    first, second = caught.value.problems
    assert "annotation 1 is of category 7" in first
    assert "annotation 3 has no outline" in second


def test_names_stay_in_the_folder(root: Path):
    reader = changed(root, lambda d: d["images"][0].update(file_name="../1.jpg"))
    with pytest.raises(DataError, match=r"image 1 .*leaves the folder"):
        reader[0]
