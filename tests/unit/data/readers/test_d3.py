from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lisa.data.mask_sources import NoMask
from lisa.data.readers.d3 import D3
from lisa.errors import ConfigError, DataError
from tests.data_sets import d3


@pytest.fixture
def root(tmp_path: Path) -> Path:
    d3.write(tmp_path)
    return tmp_path


def rewrite(root: Path, table: str, key: int, change: dict[str, Any]) -> None:
    content = d3.tables()[table]
    content[key].update(change)
    (root / "d3_pkl" / f"{table}.pkl").write_bytes(pickle.dumps(content))


def asked(picture: int, split: str) -> list[int]:
    setting, _, sort = split.partition("/")
    inner = d3.GROUPS[d3.GROUP_OF[picture]][1] if setting == "intra" else list(d3.SENTENCES)
    return [key for key in inner if not sort or d3.SENTENCES[key][1] == (sort == "absence")]


@pytest.mark.parametrize("split", D3.splits)
def test_records_are_what_was_planted(root: Path, split: str):
    reader = D3(root, split)
    keys = [key for key in d3.SIZES if asked(key, split)]
    assert [record.key for record in reader] == [f"{split}/{key}" for key in keys]
    for key, record in zip(keys, reader, strict=True):
        assert record.size == d3.SIZES[key]
        assert isinstance(record.image, Path)
        with Image.open(record.image) as image:
            assert (image.height, image.width) == record.size
        for sentence, target in zip(asked(key, split), record.targets, strict=True):
            assert [e.text for e in target.expressions] == [d3.SENTENCES[sentence][0]]
            planted = d3.planted(key, sentence)
            assert isinstance(target.mask, NoMask) == (not planted.any())
            assert np.array_equal(target.mask.read(), planted)


def test_the_usual_setting_asks_the_group(root: Path):
    assert [len(record.targets) for record in D3(root)] == [2, 2, 1]
    assert [len(record.targets) for record in D3(root, "inter")] == [3, 3, 3]
    assert len(D3(root, "intra/absence")) == 2  # no such sentence in the group of the third


@pytest.mark.parametrize(
    ("table", "key", "change", "sentence"),
    [
        ("images", 1, {"height": 0}, r"images\.pkl', image 1: 'height' must be a whole number"),
        ("images", 1, {"file_name": "../x.jpg"}, r"images\.pkl', image 1: the file name"),
        ("images", 1, {"file_name": None}, r"images\.pkl', image 1: a file name must be a text"),
        ("images", 1, {"anno_id": None}, r"images\.pkl', image 1: 'anno_id' must be a list"),
        ("images", 1, {"anno_id": [99]}, r"image 1: there is no 99 in '.*annotations\.pkl'"),
        ("images", 1, {"anno_id": [1]}, "annotation 1: it belongs to image 0, but image 1 lists"),
        ("annotations", 4, {"sent_id": 2}, "annotation 4: 'sent_id' must be a list, not 2"),
        ("annotations", 4, {"sent_id": [50]}, r"annotation 4: there is no 50 in '.*sentences\.pkl"),
        ("annotations", 4, {"segmentation": None}, "annotation 4: 'segmentation' must be run"),
        ("sentences", 2, {"raw_sent": " "}, r"sentences\.pkl', sentence 2: 'raw_sent' must have"),
    ],
)
def test_a_damaged_record_is_told_with_file_and_id(
    root: Path, table: str, key: int, change: dict[str, Any], sentence: str
):
    rewrite(root, table, key, change)
    with pytest.raises(DataError, match=sentence):
        D3(root)[1]


@pytest.mark.parametrize(
    ("table", "key", "change", "sentence"),
    [
        ("images", 0, {"group_id": 9}, r"image 0: there is no 9 in '.*groups\.pkl'"),
        ("groups", 2, {"inner_sent_id": [1, 60]}, r"group 2: there is no 60 in '.*sentences\.pkl"),
        ("groups", 2, {"inner_sent_id": None}, "group 2: 'inner_sent_id' must be a list"),
    ],
)
def test_groups_that_do_not_fit_are_told_at_once(
    root: Path, table: str, key: int, change: dict[str, Any], sentence: str
):
    rewrite(root, table, key, change)
    with pytest.raises(DataError, match=sentence):
        D3(root)


def test_a_damaged_mask_is_told_when_it_is_read(root: Path):
    rewrite(root, "annotations", 4, {"segmentation": [{"size": [40, 56], "counts": b"h0"}]})
    target = D3(root)[1].targets[1]
    with pytest.raises(DataError, match=r"annotations\.pkl', annotation 4: "):
        target.mask.read()


@pytest.mark.parametrize("content", [[], {}, {"a": {}}, {1: "one"}])
def test_a_table_of_another_form(root: Path, content: Any):
    (root / "d3_pkl" / "sentences.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=r"sentences\.pkl'.* must be an object"):
        D3(root)


@pytest.mark.parametrize("missing", ["d3_images", "d3_pkl/groups.pkl"])
def test_missing_file(root: Path, missing: str):
    (root / missing).rename(root / "elsewhere")
    with pytest.raises(DataError) as caught:
        D3(root)
    assert f"D3 is not complete: there is no {root / missing}" in str(caught.value)


def test_unknown_split(root: Path):
    with pytest.raises(ConfigError, match="D3 has no split 'train': choose one of intra, "):
        D3(root, "train")


def test_index_out_of_range(root: Path):
    reader = D3(root)
    with pytest.raises(IndexError):
        reader[len(reader)]
