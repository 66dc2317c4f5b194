from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lisa.data.readers import open_reader
from lisa.data.readers.ade20k import Ade20k
from lisa.data.readers.label_maps import read_class_names
from lisa.errors import ConfigError, DataError
from tests.data_sets import ade20k
from tests.data_sets.drawing import label_picture


@pytest.fixture
def root(tmp_path: Path) -> Path:
    ade20k.write(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("split", "folder"), [("train", "training"), ("val", "validation")])
def test_every_class_of_every_picture(root: Path, split: str, folder: str):
    planted = ade20k.planted()[folder]
    reader = open_reader("ade20k", root, split)
    assert [record.key for record in reader] == [f"{split}/{name}" for name in planted]
    for record, numbers in zip(reader, planted.values(), strict=True):
        assert record.size == numbers.shape
        assert isinstance(record.image, Path)
        assert Image.open(record.image).size == numbers.shape[::-1]
        assert not record.dialogues
        present = [value for value in np.unique(numbers) if value != ade20k.VOID]
        assert len(record.targets) == len(present)
        for target, value in zip(record.targets, present, strict=True):
            (expression,) = target.expressions
            assert (expression.text, expression.wording) == (ade20k.NAMES[value], "name")
            assert np.array_equal(target.mask.read(), numbers == value)


def test_class_names():
    names = read_class_names("ade20k")
    assert len(names) == len(set(names)) == 150
    for number, name in ade20k.NAMES.items():
        assert names[number - 1] == name


def test_255_and_0_are_void(root: Path):
    numbers = np.array([[0, 255], [255, 13]], dtype=np.uint8)
    label_picture(numbers, root / "annotations" / "training" / "ADE_train_00000001.png")
    (target,) = Ade20k(root)[0].targets
    assert target.expressions[0].text == "person"
    label_picture(numbers[:1], root / "annotations" / "training" / "ADE_train_00000001.png")
    assert Ade20k(root)[0].targets == ()


def test_damaged_label_pictures_are_named(root: Path):
    path = root / "annotations" / "training" / "ADE_train_00000002.png"
    reader = Ade20k(root)
    label_picture(np.full((4, 4), 151, dtype=np.uint8), path)
    with pytest.raises(DataError, match=r"ADE_train_00000002.png' holds the label 151"):
        reader[1]
    Image.new("RGB", (4, 4)).save(path)
    with pytest.raises(DataError, match=r"ADE_train_00000002.png' has 3 channels"):
        reader[1]
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"ADE_train_00000002.png' cannot be read"):
        reader[1]
    assert reader[0].targets
    with pytest.raises(IndexError):
        reader[len(reader)]


def test_missing_files_and_splits(root: Path):
    (root / "images" / "training" / "ADE_train_00000003.jpg").unlink()
    with pytest.raises(DataError, match=r"ADE_train_00000003.jpg', and 1 of 3 pictures"):
        Ade20k(root)
    assert len(Ade20k(root, "val")) == 1
    with pytest.raises(DataError, match="ADE20K is not complete: there is no .*images/training"):
        Ade20k(root / "elsewhere")
    for path in (root / "annotations" / "validation").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="annotations/validation' holds no PNG file"):
        Ade20k(root, "val")
    with pytest.raises(ConfigError, match="Ade20k has no split 'test': choose one of train, val"):
        Ade20k(root, "test")
