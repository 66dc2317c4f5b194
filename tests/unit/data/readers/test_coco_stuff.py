from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lisa.data.readers import open_reader
from lisa.data.readers.coco_stuff import CocoStuff
from lisa.data.readers.label_maps import read_class_names
from lisa.errors import ConfigError, DataError
from tests.data_sets import coco_stuff
from tests.data_sets.drawing import label_picture


@pytest.fixture
def root(tmp_path: Path) -> Path:
    coco_stuff.write(tmp_path)
    return tmp_path


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("name", ["coco_stuff", "cocostuff"])
def test_classes_with_plain_names_only(root: Path, name: str, split: str):
    planted = coco_stuff.planted()[f"{split}2017"]
    reader = open_reader(name, root, split)
    assert [record.key for record in reader] == [f"{split}/{name}" for name in planted]
    for record, numbers in zip(reader, planted.values(), strict=True):
        assert record.size == numbers.shape
        assert record.image == root / "coco" / f"{record.key.replace('/', '2017/')}.jpg"
        assert Image.open(record.image).size == numbers.shape[::-1]
        present = [value for value in np.unique(numbers) if value in coco_stuff.NAMES]
        assert len(record.targets) == len(present)
        for target, value in zip(record.targets, present, strict=True):
            assert [e.text for e in target.expressions] == [coco_stuff.NAMES[value]]
            assert np.array_equal(target.mask.read(), numbers == value)


def test_class_names():
    names = read_class_names("coco_stuff")
    assert len(names) == len(set(names)) == 182
    assert sum("-" in name for name in names) == 28
    for number, name in coco_stuff.NAMES.items():
        assert names[number] == name
    assert names[coco_stuff.WALL_BRICK] == "wall-brick"


def test_number_without_a_class(root: Path):
    path = root / "cocostuff" / "train2017" / "000000000025.png"
    label_picture(np.array([[0, 182]], dtype=np.uint8), path)
    with pytest.raises(DataError, match=r"000000000025.png' holds the label 182"):
        CocoStuff(root)[1]
    with pytest.raises(IndexError):
        CocoStuff(root)[2]


def test_missing_files_and_splits(root: Path):
    (root / "coco" / "val2017" / "000000000139.jpg").unlink()
    with pytest.raises(DataError, match=r"no .*coco/val2017/000000000139.jpg', and 1 of 1"):
        CocoStuff(root, "val")
    with pytest.raises(DataError, match=r"COCO-Stuff is not complete: there is no .*, no "):
        CocoStuff(root / "cocostuff")
    with pytest.raises(ConfigError, match="no split 'train2017'"):
        CocoStuff(root, "train2017")
