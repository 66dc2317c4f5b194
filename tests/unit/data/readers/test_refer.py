from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lisa.data.readers.contract import open_reader
from lisa.data.readers.refer import RefClef, RefCoco, RefCocoG, RefCocoPlus
from lisa.data.readers.refs import is_in_split
from lisa.errors import ConfigError, DataError
from tests.data_sets import refcoco
from tests.data_sets.python2_pickle import python2_pickle

READERS = {"refcoco": RefCoco, "refcoco+": RefCocoPlus, "refcocog": RefCocoG, "refclef": RefClef}
WRITTEN = [
    (name, f"{made_by}/{split}")
    for name, (made_by, rows) in refcoco.ROWS.items()
    for split in sorted({row[3] for row in rows})
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refer_seg")
    refcoco.write(folder)
    return folder


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Path]:
    """Writes the data set anew with one file of refCOCO changed."""

    def write(
        edit_refs: Callable[[list[dict[str, Any]]], Any] = lambda refs: None,
        edit_instances: Callable[[dict[str, Any]], Any] = lambda instances: None,
    ) -> Path:
        refcoco.write(tmp_path)
        refs = [refcoco.ref(row) for row in refcoco.ROWS["refcoco"][1]]
        instances_file = tmp_path / "refcoco" / "instances.json"
        instances = json.loads(instances_file.read_text())
        edit_refs(refs)
        edit_instances(instances)
        (tmp_path / "refcoco" / "refs(unc).p").write_bytes(python2_pickle(refs))
        instances_file.write_text(json.dumps(instances))
        return tmp_path

    return write


@pytest.mark.parametrize(("name", "split"), WRITTEN)
def test_records_are_what_was_planted(root: Path, name: str, split: str):
    reader = READERS[name](root, split)
    rows = [row for row in refcoco.ROWS[name][1] if row[3] == split.partition("/")[2]]
    assert len(reader) == len({row[1] for row in rows})
    records = [reader[index] for index in range(len(reader))]
    for record in records:
        made_by, written, image_id = record.key.split("/")
        assert f"{made_by}/{written}" == split
        picture = refcoco.BY_ID[int(image_id)]
        assert record.size == picture.size
        assert isinstance(record.image, Path)
        with Image.open(record.image) as image:
            assert (image.height, image.width) == picture.size
        own = [row for row in rows if row[1] == picture.id]
        assert len(record.targets) == len(own)
        for target, (_, _, ann_id, _, texts) in zip(record.targets, own, strict=True):
            assert tuple(e.text for e in target.expressions) == texts
            assert {e.wording for e in target.expressions} == {"name"}
            mask = target.mask.read()
            assert mask.dtype == bool
            assert np.array_equal(mask, picture.mask(ann_id))
    assert len({record.key for record in records}) == len(records)


def test_the_registry_has_all_four(root: Path):
    for name, reader in READERS.items():
        opened = open_reader(name, root)
        assert type(opened) is reader
        assert opened.task == "referring"


def test_defaults_are_lisas(root: Path):
    defaults = {name: reader.default_split for name, reader in READERS.items()}
    assert defaults == {
        "refcoco": "unc/train",
        "refcoco+": "unc/train",
        "refcocog": "umd/train",
        "refclef": "unc/train",
    }
    assert RefCoco(root)[0].key == RefCoco(root, "unc/train")[0].key == "unc/train/581857"


def test_all_refs_of_a_picture_are_one_record(root: Path):
    record = RefCoco(root)[0]
    assert [len(target.expressions) for target in record.targets] == [2, 3]


def test_test_is_all_tests(root: Path):
    assert len(RefCoco(root, "unc/test")) == 1  # testA and testB share a picture
    assert len(RefCoco(root, "unc/test")[0].targets) == 2
    assert len(RefClef(root, "unc/test")) == 1


@pytest.mark.parametrize(
    ("written", "picked"),
    [
        ("testA", {"testA", "test"}),
        ("testAC", {"testA", "testC", "test"}),
        ("testBC", {"testB", "testC", "test"}),
        ("test", {"test"}),
        ("train", {"train"}),
        ("val", {"val"}),
    ],
)
def test_split_rules_of_the_toolkit(written: str, picked: set[str]):
    names = ("train", "val", "test", "testA", "testB", "testC")
    assert {name for name in names if is_in_split(written, name)} == picked


@pytest.mark.parametrize("split", ["train", "unc", "unc/", "umd/train", "unc/testC", "../val"])
def test_unknown_split(root: Path, split: str):
    with pytest.raises(ConfigError, match="has no split .*: choose one of unc/train, unc/val"):
        RefCoco(root, split)


def test_index_out_of_range(root: Path):
    reader = RefCoco(root)
    assert [record.key for record in reader] == ["unc/train/581857", "unc/train/98304"]
    with pytest.raises(IndexError):
        reader[len(reader)]


@pytest.mark.parametrize(
    "missing", ["refcoco/refs(unc).p", "refcoco/instances.json", "images/mscoco/images/train2014"]
)
def test_missing_file(edited: Callable[..., Path], missing: str):
    root = edited()
    (root / missing).rename(root / "elsewhere")
    with pytest.raises(DataError) as caught:
        RefCoco(root)
    assert f"RefCoco is not complete: there is no {root / missing}" in str(caught.value)


def test_a_split_without_refs(edited: Callable[..., Path]):
    root = edited(lambda refs: refs.__delitem__(slice(3, None)))
    with pytest.raises(DataError, match=r"refs\(unc\)\.p' has no refs of the split 'testA'"):
        RefCoco(root, "unc/testA")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"split": None}, "ref 0: it must be an object with a 'split'"),
        ({"image_id": 7}, r"ref 0: there is no image 7 in '.*instances\.json'"),
        ({"image_id": "581857"}, "ref 0: there is no image '581857'"),
    ],
)
def test_a_ref_without_a_place_is_told_at_once(
    edited: Callable[..., Path], change: dict[str, Any], sentence: str
):
    root = edited(lambda refs: refs[0].update(change))
    with pytest.raises(DataError, match=r"refs\(unc\)\.p', " + sentence):
        RefCoco(root)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ann_id": 5}, r"there is no annotation 5 in '.*instances\.json'"),
        ({"ann_id": 3007}, "annotation 3007 belongs to image 98304, but the ref to image 581857"),
        ({"ann_id": [1719310, 1719311]}, "'ann_id' must be one number"),
        ({"ann_id": None}, "'ann_id' is missing"),
        ({"sentences": []}, "it needs a list of 'sentences'"),
        ({"sentences": [{"sent": " ", "raw": ""}]}, "a sentence needs words in 'sent'"),
        ({"sentences": ["lady"]}, "a sentence needs words in 'sent', not 'lady'"),
    ],
)
def test_a_damaged_ref_is_told_with_file_and_id(
    edited: Callable[..., Path], change: dict[str, Any], sentence: str
):
    reader = RefCoco(edited(lambda refs: refs[0].update(change)))
    with pytest.raises(DataError, match=r"refs\(unc\)\.p', ref 0: " + sentence):
        reader[0]
    assert reader[1].key == "unc/train/98304"


def test_the_raw_words_stand_in_where_cleaning_left_none(edited: Callable[..., Path]):
    root = edited(lambda refs: refs[1]["sentences"][0].update(sent="", raw=" ??! "))
    assert RefCoco(root)[1].targets[0].expressions[0].text == "??!"


def test_a_damaged_mask_is_told_when_it_is_read(edited: Callable[..., Path]):
    def shorten(instances: dict[str, Any]) -> None:
        instances["annotations"][0]["segmentation"] = [[1.0, 2.0, 3.0, 4.0]]

    target = RefCoco(edited(edit_instances=shorten))[0].targets[0]
    with pytest.raises(DataError, match=r"instances\.json', annotation 1719310: a polygon needs"):
        target.mask.read()


def test_an_annotation_without_parts_has_no_pixels(edited: Callable[..., Path]):
    def empty(instances: dict[str, Any]) -> None:
        instances["annotations"][0]["segmentation"] = []

    assert not RefCoco(edited(edit_instances=empty))[0].targets[0].mask.read().any()


@pytest.mark.parametrize("name", ["../../secret.jpg", "/etc/passwd", "a/../../b.jpg"])
def test_pictures_stay_in_their_folder(edited: Callable[..., Path], name: str):
    def rename(instances: dict[str, Any]) -> None:
        instances["images"][0]["file_name"] = name

    with pytest.raises(DataError, match=r"instances\.json', image 581857: the file name"):
        RefCoco(edited(edit_instances=rename))[0]


def test_refs_must_be_a_list(edited: Callable[..., Path]):
    root = edited()
    (root / "refcoco" / "refs(unc).p").write_bytes(python2_pickle({"refs": []}))
    with pytest.raises(DataError, match="must be a list of refs, not dict"):
        RefCoco(root)
