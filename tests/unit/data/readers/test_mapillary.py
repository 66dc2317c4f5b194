from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lisa.data.readers import open_reader
from lisa.data.readers.mapillary import Mapillary
from lisa.errors import ConfigError, DataError
from tests.data_sets import mapillary
from tests.data_sets.drawing import label_picture


@pytest.fixture
def root(tmp_path: Path) -> Path:
    mapillary.write(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("split", "folder"), [("train", "training"), ("val", "validation")])
def test_palette_indices_are_classes(root: Path, split: str, folder: str):
    planted = mapillary.planted()[folder]
    reader = open_reader("mapillary", root, split)
    assert {record.key for record in reader} == {f"{split}/{name}" for name in planted}
    for record in reader:
        name = record.key.split("/")[1]
        numbers = planted[name]
        assert Image.open(root / folder / "v2.0" / "labels" / f"{name}.png").mode == "P"
        assert record.size == numbers.shape
        assert isinstance(record.image, Path)
        assert Image.open(record.image).size == numbers.shape[::-1]
        assert len(record.targets) == len(np.unique(numbers))
        for target, value in zip(record.targets, np.unique(numbers), strict=True):
            assert [e.text for e in target.expressions] == [mapillary.LABELS[value]["readable"]]
            assert np.array_equal(target.mask.read(), numbers == value)


def test_classes_of_one_name_keep_their_own_masks(root: Path):
    labels = [dict(label, readable="Thing") for label in mapillary.LABELS]
    (root / "config_v2.0.json").write_text(json.dumps({"labels": labels}))
    record = Mapillary(root, "val")[0]
    assert {target.expressions[0].text for target in record.targets} == {"Thing"}
    masks = [target.mask.read() for target in record.targets]
    assert np.array_equal(np.sum(masks, axis=0), np.ones(record.size))


def test_void_and_numbers_without_a_class(root: Path):
    name = sorted(mapillary.planted()["training"])[0]
    path = root / "training" / "v2.0" / "labels" / f"{name}.png"
    label_picture(np.array([[0, 255]], dtype=np.uint8), path)
    assert len(Mapillary(root)[0].targets) == 1
    label_picture(np.array([[0, 7]], dtype=np.uint8), path)
    with pytest.raises(DataError, match=f"{name}.png' holds the label 7"):
        Mapillary(root)[0]
    with pytest.raises(IndexError):
        Mapillary(root)[2]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ([], "must be an object with a list 'labels'"),
        ({"labels": []}, "must be an object with a list 'labels'"),
        ({"labels": [{"readable": "Bird"}, {"name": "x"}]}, "label 1: 'readable' must be"),
        ({"labels": ["Bird"]}, "label 0: 'readable' must be"),
    ],
)
def test_damaged_configuration(root: Path, config: object, message: str):
    (root / "config_v2.0.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="config_v2.0.json'.* " + message):
        Mapillary(root)


def test_missing_files_and_splits(root: Path):
    with pytest.raises(ConfigError, match="Mapillary has no split 'testing'"):
        Mapillary(root, "testing")
    (root / "config_v2.0.json").unlink()
    with pytest.raises(DataError, match=r"Mapillary Vistas is not complete: .*config_v2.0.json"):
        Mapillary(root)
