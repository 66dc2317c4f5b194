from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lisa.data.mask_sources import NoMask
from lisa.data.readers.ref_zom import RefZom
from lisa.errors import ConfigError, DataError
from tests.data_sets import ref_zom


@pytest.fixture
def root(tmp_path: Path) -> Path:
    ref_zom.write(tmp_path)
    return tmp_path


def rewrite(root: Path, ref: int, change: dict[str, Any]) -> None:
    refs = ref_zom.refs()
    refs[ref].update(change)
    (root / "ref-zom" / "refs(final).p").write_bytes(pickle.dumps(refs))


def check(root: Path, split: str) -> None:
    reader = RefZom(root, split)
    rows = [row for row in ref_zom.ROWS if row[5] == split]
    assert len(reader) == len({row[1] for row in rows})
    for record in reader:
        picture = ref_zom.BY_ID[int(record.key.removeprefix(f"{split}/"))]
        assert record.size == picture.size
        assert isinstance(record.image, Path)
        with Image.open(record.image) as image:
            assert (image.height, image.width) == picture.size
        own = [row for row in rows if row[1] == picture.id]
        for target, (_, _, _, meant, source, _, text) in zip(record.targets, own, strict=True):
            assert [expression.text for expression in target.expressions] == [text]
            assert isinstance(target.mask, NoMask) == (source == "zero")
            assert np.array_equal(target.mask.read(), picture.mask(*meant))


@pytest.mark.parametrize("split", ["train", "test"])
def test_records_are_what_was_planted(root: Path, split: str):
    check(root, split)


@pytest.mark.parametrize("name", ["ref-zom/Ref-ZOM(final).p", "refzom/Ref_ZOM.p"])
def test_other_names_of_the_pickle(root: Path, name: str):
    (root / "ref-zom" / "refs(final).p").rename(root / "ref-zom" / Path(name).name)
    (root / "ref-zom").rename(root / Path(name).parent)
    check(root, "train")


def test_the_halves_of_coco_in_folders_of_their_own(root: Path):
    folder = root / "images" / "mscoco" / "images"
    (folder / "trainval2014").rename(folder / "train2014")
    check(root, "train")
    with pytest.raises(DataError, match="RefZom is not complete: there is no .*val2014"):
        RefZom(root, "test")
    (folder / "val2014").mkdir()
    name = ref_zom.SOFA.file_name
    (folder / "train2014" / name).rename(folder / "val2014" / name)
    check(root, "test")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ann_id": []}, "'ann_id' is empty, but 'source' is 'many'"),
        ({"ann_id": [3007, 12]}, "there is no annotation 12"),
        ({"ann_id": 4001}, "annotation 4001 belongs to image 519404"),
        ({"ann_id": None}, "'ann_id' is missing"),
    ],
)
def test_a_damaged_ref_is_told_with_file_and_id(root: Path, change: dict[str, Any], sentence: str):
    rewrite(root, 0, change)
    with pytest.raises(DataError, match=r"refs\(final\)\.p', ref 1: " + sentence):
        RefZom(root)[0]


def test_missing_file(root: Path):
    (root / "ref-zom" / "refs(final).p").unlink()
    with pytest.raises(DataError, match=r"RefZom is not complete: there is no .*\(final\)\.p"):
        RefZom(root)


def test_unknown_split(root: Path):
    with pytest.raises(ConfigError, match="RefZom has no split 'val': choose one of train, test"):
        RefZom(root, "val")


def test_index_out_of_range(root: Path):
    reader = RefZom(root)
    with pytest.raises(IndexError):
        reader[len(reader)]
