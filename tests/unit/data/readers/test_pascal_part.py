from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lisa.data.readers import open_reader
from lisa.data.readers.pascal_part import PascalPart
from lisa.errors import ConfigError, DataError
from tests.data_sets import pascal_part


@pytest.fixture
def root(tmp_path: Path) -> Path:
    pascal_part.write(tmp_path)
    return tmp_path


@pytest.mark.parametrize("split", ["train", "val"])
def test_parts(root: Path, split: str):
    planted = pascal_part.planted(split)
    reader = open_reader("pascal_part", root, split)
    assert [record.key for record in reader] == [
        f"{split}/{name.replace('_', '')}" for name in planted
    ]
    for record, (name, regions) in zip(reader, planted.items(), strict=True):
        assert isinstance(record.image, Path)
        assert record.image.name == f"{name}.jpg"
        assert Image.open(record.image).size == regions[0][1].shape[::-1]
        assert record.size == regions[0][1].shape
        assert len(record.targets) == len(regions)
        for target, (category, mask) in zip(record.targets, regions, strict=True):
            texts = tuple(expression.text for expression in target.expressions)
            assert texts == pascal_part.EXPRESSIONS[category]
            assert np.array_equal(target.mask.read(), mask)


def test_damage_missing_files_and_splits(root: Path):
    with pytest.raises(IndexError):
        PascalPart(root)[2]
    document = pascal_part.annotations("train")
    document["annotations"][0]["segmentation"]["size"] = [8, 8]
    (root / "train.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="train.json', annotation 0: a mask's runs"):
        PascalPart(root)[0].targets[0].mask.read()
    document["annotations"][0].pop("image_id")
    (root / "train.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="train.json', annotation 0: 'image_id' must be"):
        PascalPart(root)
    (root / "train.json").unlink()
    with pytest.raises(DataError, match=r"PASCAL-Part is not complete: there is no .*train.json"):
        PascalPart(root)
    with pytest.raises(ConfigError, match="PascalPart has no split 'test'"):
        PascalPart(root, "test")
