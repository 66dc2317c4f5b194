from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lisa.data.mask_sources import NoMask
from lisa.data.readers.grefcoco import GRefCoco
from lisa.errors import ConfigError, DataError
from tests.data_sets import grefcoco


@pytest.fixture
def root(tmp_path: Path) -> Path:
    grefcoco.write(tmp_path)
    return tmp_path


def rewrite(root: Path, ref: int, change: dict[str, Any]) -> None:
    refs = grefcoco.refs()
    refs[ref].update(change)
    (root / "grefcoco" / "grefs(unc).json").write_text(json.dumps(refs))


@pytest.mark.parametrize("split", ["train", "val", "testA", "testB"])
def test_records_are_what_was_planted(root: Path, split: str):
    reader = GRefCoco(root, f"unc/{split}")
    rows = [row for row in grefcoco.ROWS if row[4] == split]
    assert len(reader) == len({row[1] for row in rows})
    for record in reader:
        picture = grefcoco.BY_ID[int(record.key.removeprefix(f"unc/{split}/"))]
        assert record.size == picture.size
        assert isinstance(record.image, Path)
        with Image.open(record.image) as image:
            assert (image.height, image.width) == picture.size
        own = [row for row in rows if row[1] == picture.id]
        for target, (_, _, ids, meant, _, text) in zip(record.targets, own, strict=True):
            assert [expression.text for expression in target.expressions] == [text]
            assert isinstance(target.mask, NoMask) == (ids == [-1])
            assert np.array_equal(target.mask.read(), picture.mask(*meant))


def test_the_pickle_comes_first(root: Path):
    refs = grefcoco.refs()
    refs[0]["sentences"][0]["sent"] = "both of them"
    (root / "grefcoco" / "grefs(unc).p").write_bytes(pickle.dumps(refs))
    assert GRefCoco(root)[0].targets[0].expressions[0].text == "both of them"


def test_a_single_number_is_a_list_of_one(root: Path):
    rewrite(root, 0, {"ann_id": 1719310})
    mask = GRefCoco(root)[0].targets[0].mask.read()
    assert np.array_equal(mask, grefcoco.WOMEN.mask(1719310))


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        ([-1, 1719310], r"'ann_id' must be the numbers of annotations, or \[-1\] alone"),
        ([], "'ann_id' must be the numbers"),
        ([1719310, 12], "there is no annotation 12"),
        ([3007], "annotation 3007 belongs to image 98304"),
        (None, "'ann_id' is missing"),
    ],
)
def test_a_damaged_ref_is_told_with_file_and_id(root: Path, ids: Any, sentence: str):
    rewrite(root, 0, {"ann_id": ids})
    with pytest.raises(DataError, match=r"grefs\(unc\)\.json', ref 1: " + sentence):
        GRefCoco(root)[0]


def test_missing_file(root: Path):
    (root / "grefcoco" / "grefs(unc).json").unlink()
    with pytest.raises(DataError, match=r"GRefCoco is not complete: there is no .*\(unc\)\.json"):
        GRefCoco(root)


def test_unknown_split(root: Path):
    with pytest.raises(ConfigError, match="GRefCoco has no split 'test'"):
        GRefCoco(root, "test")


def test_index_out_of_range(root: Path):
    reader = GRefCoco(root)
    with pytest.raises(IndexError):
        reader[len(reader)]
