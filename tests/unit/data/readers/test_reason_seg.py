from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lisa.data.readers import open_reader
from lisa.data.readers.picture_size import picture_size
from lisa.data.readers.reason_seg import ReasonSeg
from lisa.data.readers.reason_seg_masks import IGNORED, TARGET, draw_shapes, read_shapes
from lisa.errors import ConfigError, DataError, MissingDependencyError
from lisa.types import ImageSize
from tests.data_sets import reason_seg
from tests.data_sets.reason_seg import PLANTED

pytest.importorskip("cv2", reason="drawing polygons needs `pip install 'lisa-assistant[train]'`")

LAMP = "val/lamp"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    reason_seg.write(tmp_path)
    return tmp_path


def change(root: Path, key: str, **fields: Any) -> None:
    path = root / f"{key}.json"
    annotation = json.loads(path.read_text("utf-8")) | fields
    path.write_text(json.dumps(annotation), "utf-8")


def square(label: str, left: int, top: int, side: int) -> dict[str, Any]:
    right, bottom = left + side, top + side
    points = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return {"label": label, "points": points}


@pytest.mark.parametrize("split", ["train", "val", "test", "train+val", "val+test+train"])
def test_every_annotation_becomes_one_target(root: Path, split: str):
    reader = open_reader("reason_seg", root, split)
    expected = [key for name in split.split("+") for key in sorted(PLANTED) if key.startswith(name)]
    assert [record.key for record in reader] == expected
    for record in reader:
        planted = PLANTED[record.key]
        (target,) = record.targets
        assert isinstance(record.image, Path)
        assert Image.open(record.image).size == planted.size[::-1]
        assert record.size == planted.size
        assert tuple(e.text for e in target.expressions) == planted.texts
        assert {e.wording for e in target.expressions} == {
            "sentence" if planted.is_sentence else "name"
        }
        assert target.explanation == planted.explanation
        assert np.array_equal(target.mask.read(), planted.labels == TARGET)
        ignored = planted.labels == IGNORED
        assert (target.ignore is not None) == ignored.any()
        if target.ignore is not None:
            assert np.array_equal(target.ignore.read(), ignored)


def test_training_is_the_default_and_explanations_are_optional(root: Path):
    (root / "explanatory" / "train.json").unlink()
    reader = ReasonSeg(root)
    assert len(reader) == 2
    assert all(record.targets[0].explanation is None for record in reader)
    with pytest.raises(IndexError):
        reader[2]


@pytest.mark.parametrize("split", ["all", "train+", "train_val", ""])
def test_unknown_splits_are_refused(root: Path, split: str):
    with pytest.raises(ConfigError, match="has no split .*: choose one of train, val, test"):
        ReasonSeg(root, split)


def test_a_split_is_named_once(root: Path):
    with pytest.raises(ConfigError, match=r"'val\+val' names one twice"):
        ReasonSeg(root, "val+val")


def test_pictures_and_annotations_come_in_pairs(root: Path):
    (root / "train" / ".hidden.jpg").touch()
    assert len(ReasonSeg(root, "train+val")) == 3
    (root / "train" / "coat_hook.json").unlink()
    (root / "train" / "street_cafe.jpg").unlink()
    with pytest.raises(DataError, match=r"train' is not complete: 2 files, such as 'coat_hook.js"):
        ReasonSeg(root, "train+val")
    with pytest.raises(DataError, match="ReasonSeg is not complete: there is no .*elsewhere"):
        ReasonSeg(root / "elsewhere")
    (root / "val2").mkdir()
    (root / "val").rename(root / "old")
    (root / "val2").rename(root / "val")
    with pytest.raises(DataError, match="val' is not complete: all pictures are not there"):
        ReasonSeg(root, "val")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"text": []}, "'text' must be a list of one or more questions"),
        ({"text": ["fine", "  "]}, "'text' must be a list"),
        ({"text": "a lamp"}, "'text' must be a list"),
        ({"is_sentence": "yes"}, "'is_sentence' must be true or false, not 'yes'"),
        ({"shapes": None}, "'shapes' must be a list of polygons, not None"),
        ({"shapes": [square("target", 1, 1, 5), "target"]}, r"shapes\[1\] must be an object"),
        ({"shapes": [{"label": "flag"}, {"label": "target"}]}, r"shapes\[1\] cannot be drawn"),
        ({"shapes": [{"label": "target", "points": []}]}, r"shapes\[0\] cannot be drawn"),
        ({"shapes": [{"label": "ignore", "points": [[1, 2, 3]]}]}, r"shapes\[0\] cannot be"),
        ({"shapes": [{"label": "target", "points": [[1, None]]}]}, r"shapes\[0\] cannot be"),
        ({"shapes": [{"label": "target", "points": [[1, 1e30]]}]}, r"shapes\[0\] cannot be"),
        ({"shapes": [{"label": "target", "points": [[1, float("nan")]]}]}, r"shapes\[0\] cannot"),
    ],
)
def test_damage_is_told_with_file_and_shape(root: Path, fields: dict[str, Any], message: str):
    change(root, LAMP, **fields)
    reader = ReasonSeg(root, "val")
    with pytest.raises(DataError, match=rf"lamp\.json': {message}"):
        reader[0]


def test_damaged_files_are_named(root: Path):
    reader = ReasonSeg(root, "val")
    annotation = root / "val" / "lamp.json"
    annotation.write_text("[1]", "utf-8")
    with pytest.raises(DataError, match=r"lamp\.json': it must be an object"):
        reader[0]
    annotation.write_text('{"text": ', "utf-8")
    with pytest.raises(DataError, match=r"lamp\.json' is no JSON at line 1"):
        reader[0]
    annotation.with_suffix(".jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"lamp\.jpg' is none that can be read"):
        reader[0]
    annotation.with_suffix(".jpg").unlink()
    with pytest.raises(DataError, match=r"lamp\.jpg' is not there"):
        reader[0]


@pytest.mark.parametrize(
    ("entries", "message"),
    [({}, "must be a list"), ([{"image": "1.jpg"}], "entry 0"), (["why"], "entry 0: it must be")],
)
def test_damaged_explanations(root: Path, entries: Any, message: str):
    (root / "explanatory" / "train.json").write_text(json.dumps(entries), "utf-8")
    with pytest.raises(DataError, match=f"explanatory/train.json'.*{message}"):
        ReasonSeg(root)


def test_a_turned_picture_is_drawn_upright(root: Path):
    path = root / "val" / "lamp.jpg"
    notes = Image.Exif()
    notes[0x0112] = 6
    Image.open(path).save(path, exif=notes)
    height, width = PLANTED[LAMP].size
    assert picture_size(path) == picture_size(path.read_bytes()) == (width, height)
    record = ReasonSeg(root, "val")[0]
    assert record.size == record.targets[0].mask.read().shape == (width, height)


def test_missing_opencv_names_the_extra(root: Path, monkeypatch: pytest.MonkeyPatch):
    mask = ReasonSeg(root, "val")[0].targets[0].mask
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'lisa-assistant\[train\]'"):
        mask.read()


def draw(*entries: dict[str, Any], size: tuple[int, int] = (40, 50)) -> np.ndarray:
    return draw_shapes(read_shapes(list(entries)), ImageSize(*size))


@pytest.mark.parametrize("first", ["target", "ignore"])
def test_small_polygons_lie_on_top_whatever_their_order(first: str):
    second = {"target": "ignore", "ignore": "target"}[first]
    large, small = square(first, 5, 5, 20), square(second, 10, 10, 6)
    labels = draw(large, small)
    assert np.array_equal(labels, draw(small, large))
    inside = IGNORED if second == "ignore" else TARGET
    assert (labels[10:17, 10:17] == inside).all()
    assert np.count_nonzero(labels == inside) == 7 * 7


def test_of_equal_polygons_the_first_lies_on_top():
    labels = draw(square("target", 5, 5, 10), square("ignore", 10, 5, 10))
    assert np.count_nonzero(labels == TARGET) == 11 * 11


SHAPES = st.lists(
    st.tuples(
        st.sampled_from(["target", "Ignore this", "flag", "other"]),
        st.lists(st.tuples(st.floats(-60, 90), st.floats(-60, 90)), min_size=1, max_size=8),
    ),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(SHAPES)
def test_properties_of_drawings(drawn: list[tuple[str, list[tuple[float, float]]]]):
    entries = [{"label": label, "points": [list(p) for p in points]} for label, points in drawn]
    labels = draw(*entries)
    flags = [entry for entry in entries if entry["label"] == "flag"]
    assert np.array_equal(labels, draw(*(entry for entry in entries if entry not in flags)))
    union = np.zeros(labels.shape, dtype=bool)
    for entry in entries:
        union |= draw(entry) != 0
        if entry not in flags:
            for x, y in np.trunc(entry["points"]).astype(int):  # corners belong to the polygon
                assert not (0 <= x < 50 and 0 <= y < 40) or labels[y, x] != 0
    assert np.array_equal(labels != 0, union)
    values = {IGNORED if "Ignore" in entry["label"] else TARGET for entry in entries}
    assert set(np.unique(labels)) <= {0} | values
