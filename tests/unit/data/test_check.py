"""25 faults, planted one by one in good data; each is found, alone, at its place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from PIL import Image

from lisa.data.check import check_reader, shared_pictures
from lisa.data.mask_sources import BoxMask, NoMask
from lisa.data.readers.contract import Reader
from lisa.data.readers.own_coco import CocoInstances
from lisa.data.readers.own_jsonl import JsonLines
from lisa.data.readers.own_labelme import LabelMe
from lisa.data.records import Expression, Record, Target
from lisa.errors import DataError
from lisa.masks import encode_rle
from lisa.types import ImageSize
from tests.data_sets import own_coco, own_jsonl, own_labelme
from tests.data_sets.own_jsonl import SIZES, dialogue, write_lines

Line: TypeAlias = dict[str, Any]
OUT_OF_TURN = [*dialogue("a"), *dialogue("b", "[SEG]")]
EMPTY = encode_rle(np.zeros(SIZES["1"], bool))


def target(**changes: Any) -> Line:
    """A line with one target, of which some keys are changed."""
    return {
        "image": "pictures/1.jpg",
        "targets": [{"text": "cup", "segment": {"box": [10, 8, 30, 26]}, **changes}],
    }


def talk(*words: str, **changes: Any) -> Line:
    """A line with a conversation and one segment."""
    return {
        "image": "pictures/1.jpg",
        "messages": dialogue(*words),
        "segments": [{"box": [10, 8, 30, 26]}],
        **changes,
    }


def region(**segment: Any) -> Line:
    """A line with one region."""
    return target(segment=segment)


LINES: list[tuple[str, Line | str, str]] = [
    ("no JSON", '{"image": "pictures/1.jpg", "targets": [}', "is no JSON at column"),
    ("unknown key", {**target(), "segmentz": []}, "perhaps 'segments' is meant"),
    ("no picture", {**target(), "image": "pictures/none.jpg"}, "is not there"),
    ("a text as picture", {**target(), "image": "train.jsonl"}, "none that can be read"),
    ("cut-off picture", {**target(), "image": "pictures/cut.png"}, "damaged or cut off"),
    ("outside picture", {**target(), "image": "../1.jpg"}, "leaves the folder"),
    ("no text", target(text="  "), "its text is empty"),
    ("control token in a text", target(text="the <image> cup"), "holds <image>"),
    ("[SEG] of the user", talk("the cup [SEG]?", "[SEG]"), "message 1 (user) holds [SEG]"),
    ("too few segments", talk("a", "[SEG] [SEG]"), "says [SEG] 2 times, but there is 1 segment"),
    ("segment without [SEG]", talk("a", "yes"), "says [SEG] never"),
    ("roles out of turn", talk(messages=OUT_OF_TURN), "it is the assistant's turn"),
    ("no answer", talk("a", "[SEG]", "c"), "ends without an answer"),
    ("empty message", talk("a", "[SEG]", " ", "d"), "message 3 (user) is empty"),
    ("polygon far outside", region(polygon=[[0, 0, 500, 0, 500, 500]]), "far outside the picture"),
    ("polygon of two points", region(polygon=[[0, 0, 5, 5]]), "three points or more"),
    ("box of width and height", region(box=[30, 20, 10, 10]), "not a width and a height"),
    ("shares for pixels", region(box=[0.1, 0.2, 0.5, 0.6]), "not shares of the picture"),
    ("run lengths of another size", region(rle={"size": [9, 9], "counts": [81]}), "has 9 x 9"),
    ("damaged run lengths", region(rle={"size": [40, 56], "counts": "abc"}), "it is cut off"),
    ("empty mask", region(rle=EMPTY), "target 1 ('cup'): its mask is empty"),
    ("mask of another size", region(mask="masks/2.png"), "has 52 x 44 pixels"),
    ("no mask file", region(mask="masks/none.png"), "is not there"),
    ("no region and no null", {**target(), "targets": [{"text": "cup"}]}, "no 'segment'"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    own_jsonl.write(tmp_path)
    whole = Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 90, 3), np.uint8))
    whole.save(tmp_path / "pictures" / "whole.png")
    data = (tmp_path / "pictures" / "whole.png").read_bytes()
    (tmp_path / "pictures" / "cut.png").write_bytes(data[: len(data) // 2])
    return tmp_path


@pytest.mark.parametrize("number", range(len(LINES)), ids=[name for name, _, _ in LINES])
def test_a_planted_fault_is_found_alone_and_with_its_line(root: Path, number: int):
    good = own_jsonl.lines()["train"]
    write_lines(root / "train.jsonl", [good[0], "", LINES[number][1], good[1]])
    (fault,) = check_reader(JsonLines(root))
    assert fault.place == f"{root / 'train.jsonl'}:3"
    assert LINES[number][2] in fault.message


def test_the_same_id_twice(root: Path):
    """The twenty-fifth fault; it needs two lines."""
    write_lines(root / "train.jsonl", [{**target(), "id": 7}, {**target(), "id": "7"}])
    (fault,) = check_reader(JsonLines(root))
    assert fault.place == f"{root / 'train.jsonl'}:2"
    assert f"the id '7' is taken at {root / 'train.jsonl'}:1" in fault.message


def test_all_faults_of_a_file_at_once(root: Path):
    write_lines(root / "train.jsonl", [line for _, line, _ in LINES])
    faults = list(check_reader(JsonLines(root)))
    lines = [int(fault.place.rpartition(":")[2]) for fault in faults]
    assert lines == list(range(1, len(LINES) + 1))
    for fault, (_, _, sentence) in zip(faults, LINES, strict=True):
        assert sentence in fault.message


def test_all_faults_of_a_line_at_once(root: Path):
    line = {**talk("[SEG]", "yes [SEG]"), **region(rle=EMPTY), "extra": 1}
    write_lines(root / "train.jsonl", [line])
    messages = "\n".join(fault.message for fault in check_reader(JsonLines(root)))
    for sentence in ("no key 'extra'", "message 1 (user) holds", "mask is empty"):
        assert sentence in messages


@pytest.mark.parametrize("made", [own_jsonl, own_coco, own_labelme], ids=lambda made: made.__name__)
def test_good_data_has_no_faults(tmp_path: Path, made: Any):
    made.write(tmp_path)
    kinds = {own_jsonl: JsonLines, own_coco: CocoInstances, own_labelme: LabelMe}
    assert list(check_reader(kinds[made](tmp_path))) == []


Damage: TypeAlias = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("damage", "place", "sentence"),
    [
        (
            lambda d: d["images"][0].update(height=41),
            "image 1 (1.jpg)",
            "has 40 x 56 pixels (height x width), but 41 x 56 are noted",
        ),
        (lambda d: d["images"][1].update(file_name="9.jpg"), "image 2 (9.jpg)", "is no file"),
        (lambda d: d["annotations"][0].update(image_id=5), "annotation 1", "no image 5"),
        (lambda d: d["annotations"][1].update(id=1), "annotation 1", "is taken by an earlier"),
        (lambda d: d["annotations"][6].update(category_id=5), "image 3 (3.jpg)", "category 5"),
        (lambda d: d["categories"].append({"id": 4}), "category 4", "'name' must be a text"),
    ],
)
def test_faults_of_coco_files(tmp_path: Path, damage: Damage, place: str, sentence: str):
    own_coco.write(tmp_path)
    document = own_coco.document()
    damage(document)
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(document))
    fault = next(check_reader(CocoInstances(path)))
    assert fault.place == f"{path}, {place}"
    assert sentence.replace("is no file", "is not there") in fault.message


def test_faults_of_labelme_files(tmp_path: Path):
    own_labelme.write(tmp_path)
    path = tmp_path / "labels" / "2.json"
    document = json.loads(path.read_text())
    document["shapes"].append(own_labelme.shape("lid", "circle", [[500, 500], [501, 500]]))
    document["shapes"].append(own_labelme.shape("dog", "line", [[5, 5], [9, 9]]))
    path.write_text(json.dumps(document))
    (tmp_path / "labels" / "3.json").write_text("{}")
    faults = [(fault.place, fault.message) for fault in check_reader(LabelMe(tmp_path))]
    assert [place for place, _ in faults] == [str(path), str(path), str(path.with_name("3.json"))]
    assert "shape 3: a shape of type 'line' is not read" in faults[0][1]
    assert "target 2 ('lid'): its mask is empty" in faults[1][1]


class ThreeRecords(Reader):
    """A reader of someone else's, without places: shows what is told of one."""

    task = "referring"

    def __init__(self, root: Path, split: str | None = None) -> None:
        self.root = root

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Record:
        if index == 1:
            raise DataError("'refs.json', ref 7: it has no sentences.")
        size = ImageSize(9, 9)
        mask = NoMask(size) if index else BoxMask((0, 0, 5, 5), size)
        things = (Target((Expression("cup"),), mask, ignore=BoxMask((0, 0, 1, 1), size)),)
        return Record("train/1", self.root / "pictures" / "1.jpg", None, things)


def test_other_readers(root: Path):
    faults = list(check_reader(ThreeRecords(root)))
    assert [fault.place for fault in faults] == [
        *["record train/1"] * 2,
        "record 1",
        *["record train/1"] * 2,
    ]
    assert "its mask has 9 x 9 pixels" in faults[0].message
    assert "what is ignored: its mask has 9 x 9" in faults[1].message
    assert "ref 7" in faults[2].message
    assert "taken at record train/1" in faults[3].message


def test_shared_pictures(root: Path):
    train, validation = JsonLines(root), JsonLines(root, "validation")
    assert list(shared_pictures([train], [validation])) == []
    shutil.copy(root / "pictures" / "1.jpg", root / "pictures" / "4.jpg")
    (fault,) = shared_pictures([train], [validation])
    assert fault.place == f"{root / 'validation.jsonl'}:1"
    assert f"learnt from at {root / 'train.jsonl'}:1" in fault.message


def test_shared_pictures_in_damaged_data(root: Path):
    write_lines(root / "train.jsonl", ["{", talk("a", "b"), talk("a", "[SEG]", image="x.jpg")])
    write_lines(root / "validation.jsonl", [target(), target(), "{"])
    faults = list(shared_pictures([JsonLines(root)], [JsonLines(root, "validation")]))
    assert [fault.place for fault in faults] == [f"{root / 'validation.jsonl'}:1"]
