from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lisa.data.readers import open_reader
from lisa.data.readers.paco_lvis import PacoLvis
from lisa.errors import ConfigError, DataError
from tests.data_sets import paco_lvis


@pytest.fixture
def root(tmp_path: Path) -> Path:
    paco_lvis.write(tmp_path)
    return tmp_path


def rewrite(root: Path, document: dict[str, Any]) -> None:
    path = root / "vlpart" / "paco" / "annotations" / "paco_lvis_v1_train.json"
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("split", ["train", "val"])
def test_objects_and_parts(root: Path, split: str):
    planted = paco_lvis.planted(split)
    reader = open_reader("paco_lvis", root, split)
    assert [record.key for record in reader] == [f"{split}/{image_id}" for image_id in planted]
    for record, regions in zip(reader, planted.values(), strict=True):
        assert isinstance(record.image, Path)
        assert Image.open(record.image).size == regions[0][1].shape[::-1]
        assert len(record.targets) == len(regions)
        for target, (category, mask) in zip(record.targets, regions, strict=True):
            texts = tuple(expression.text for expression in target.expressions)
            assert texts == paco_lvis.EXPRESSIONS[category]
            assert {expression.wording for expression in target.expressions} == {"name"}
            assert np.array_equal(target.mask.read(), mask)


def test_pictures_without_annotations_are_left_out(root: Path):
    document = paco_lvis.annotations("train")
    document["annotations"] = [a for a in document["annotations"] if a["image_id"] == 25]
    rewrite(root, document)
    assert [record.key for record in PacoLvis(root)] == ["train/25"]


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("car_(automobile):wheel", ("car wheel", "the wheel of the car")),
        ("pan_(for_cooking)", ("pan",)),
        (
            "telephone: push_button_(big)",
            ("telephone push_button", "the push_button of the telephone"),
        ),
    ],
)
def test_names(root: Path, name: str, texts: tuple[str, ...]):
    document = paco_lvis.annotations("train")
    document["categories"] = [dict(c, name=name) for c in document["categories"]]
    rewrite(root, document)
    assert tuple(e.text for e in PacoLvis(root)[0].targets[0].expressions) == texts


@pytest.mark.parametrize("name", ["a:b:c", ":lid", "can:", "_(x)"])
def test_names_that_are_no_object_or_part(root: Path, name: str):
    document = paco_lvis.annotations("train")
    document["categories"][1] = dict(document["categories"][1], name=name)
    rewrite(root, document)
    with pytest.raises(DataError, match="train.json', category 72: the name must be 'object' or"):
        PacoLvis(root)


def test_damaged_records_are_named(root: Path):
    document = paco_lvis.annotations("train")
    document["images"][0]["file_name"] = "../../9.jpg"
    rewrite(root, document)
    with pytest.raises(DataError, match="train.json', image 9: the file name '../../9.jpg' leaves"):
        PacoLvis(root)
    document = paco_lvis.annotations("train")
    document["annotations"][2]["category_id"] = 1
    rewrite(root, document)
    with pytest.raises(DataError, match="train.json', annotation 3: there is no category 1"):
        PacoLvis(root)
    document = paco_lvis.annotations("train")
    document["annotations"][1]["segmentation"]["counts"] += "?"
    rewrite(root, document)
    target = PacoLvis(root)[0].targets[1]
    with pytest.raises(DataError, match="train.json', annotation 2: a mask"):
        target.mask.read()
    with pytest.raises(IndexError):
        PacoLvis(root)[2]


def test_missing_files_and_splits(root: Path):
    with pytest.raises(DataError, match=r"PACO-LVIS .* no .*paco_lvis_v1_test.json"):
        PacoLvis(root, "test")
    (root / "coco" / "train2017" / "000000000025.jpg").unlink()
    with pytest.raises(DataError, match=r"000000000025.jpg', and 1 of 2 pictures are missing"):
        PacoLvis(root)
    with pytest.raises(ConfigError, match="PacoLvis has no split 'minival'"):
        PacoLvis(root, "minival")
