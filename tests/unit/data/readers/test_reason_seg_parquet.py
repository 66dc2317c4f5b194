from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lisa.data.readers import open_reader
from lisa.data.readers.reason_seg_parquet import ReasonSegParquet
from lisa.errors import ConfigError, DataError, MissingDependencyError
from tests.data_sets.reason_seg import PLANTED

datasets = pytest.importorskip("datasets", reason="needs `pip install 'lisa-assistant[train]'`")
from tests.data_sets import reason_seg_parquet  # noqa: E402 - it imports datasets


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    reason_seg_parquet.write(tmp_path)
    return tmp_path


def saved(root: Path, *, name: str = "saved", **columns: Any) -> Path:
    """The rows of the fixture with some columns replaced, as `datasets` saves them."""
    (files,) = {root / "data"}
    rows = datasets.Dataset.from_parquet([str(path) for path in sorted(files.glob("*.parquet"))])
    for column, values in columns.items():
        rows = rows.remove_columns(column)
        if values is not None:
            rows = rows.add_column(column, values)
    rows.save_to_disk(root / name)
    return root / name


def check(reader: ReasonSegParquet, prefix: str) -> None:
    assert len(reader) == len(PLANTED)
    for record, (key, planted) in zip(reader, PLANTED.items(), strict=True):
        assert record.key == prefix + Path(key).name
        assert isinstance(record.image, bytes)
        assert Image.open(io.BytesIO(record.image)).size == planted.size[::-1]
        assert record.size == planted.size
        (target,) = record.targets
        (expression,) = target.expressions
        assert expression.text == planted.texts[0]
        assert expression.wording == ("sentence" if planted.is_sentence else "name")
        assert (target.ignore, target.explanation) == (None, None)
        mask = target.mask.read()
        assert mask.dtype == bool
        assert np.array_equal(mask, planted.labels != 0)


@pytest.mark.parametrize("split", [None, "test"])
def test_every_row_of_the_release(root: Path, split: str | None):
    reader = open_reader("reason_seg_parquet", root, split)
    assert isinstance(reader, ReasonSegParquet)
    check(reader, "test/")
    with pytest.raises(IndexError):
        reader[len(PLANTED)]
    with pytest.raises(ConfigError, match="has no split 'val': choose one of test"):
        ReasonSegParquet(root, "val")


def test_saved_folders(root: Path):
    folder = saved(root)
    check(ReasonSegParquet(folder), "")
    with pytest.raises(ConfigError, match="has no splits: leave 'test' out"):
        ReasonSegParquet(folder, "test")
    rows = datasets.load_from_disk(folder)
    datasets.DatasetDict({"a": rows, "b": rows}).save_to_disk(root / "both")
    check(ReasonSegParquet(root / "both", "b"), "b/")
    with pytest.raises(ConfigError, match="has several splits: choose one of a, b"):
        ReasonSegParquet(root / "both")


def test_repeated_names_stay_apart(root: Path):
    reader = ReasonSegParquet(saved(root, ann_id=["7"] * len(PLANTED)))
    assert [record.key for record in reader][:3] == ["7", "7/1", "7/2"]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("text", "  ", "'text' must be a question"),
        ("img_height", 3, "img_height and img_width are 3 and 56, but the picture is 40 x 56"),
        ("image", {"bytes": None, "path": "1.jpg"}, "the row has no picture"),
        ("image", {"bytes": b"text", "path": None}, "the picture is none that can be read"),
    ],
)
def test_damaged_rows_are_named(root: Path, column: str, value: Any, message: str):
    reader = ReasonSegParquet(saved(root, **{column: [value] * len(PLANTED)}))
    with pytest.raises(DataError, match=f"saved', record 'coat_hook': {message}"):
        reader[0]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([[True] * 56] * 39, r"has 39 lines of \[56\] pixels"),
        ([[True] * 56] * 39 + [[True]], r"has 40 lines of \[1, 56\] pixels"),
        ([], r"has 0 lines of \[\] pixels"),
        ([[None] * 56] * 40, "2240 pixels of the mask have no value"),
    ],
)
def test_damaged_masks_are_named(root: Path, mask: Any, message: str):
    masks = [mask] + [[[False]]] * (len(PLANTED) - 1)
    target = ReasonSegParquet(saved(root, mask=masks))[0].targets[0]
    with pytest.raises(DataError, match=f"record 'coat_hook': .*{message}"):
        target.mask.read()


def test_wrong_tables_and_folders(root: Path):
    with pytest.raises(DataError, match="has no column mask, ann_id: it must have rows with"):
        ReasonSegParquet(saved(root, mask=None, ann_id=None))
    with pytest.raises(DataError, match="the column 'image' must hold picture files"):
        ReasonSegParquet(saved(root, name="no_files", image=[3] * len(PLANTED)))
    with pytest.raises(DataError, match="there is no folder .*: check the path"):
        ReasonSegParquet(root / "else" / "where")
    (root / "empty").mkdir()
    with pytest.raises(DataError, match="empty' cannot be read as a data set"):
        ReasonSegParquet(root / "empty")


def test_missing_datasets_names_the_extra(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'lisa-assistant\[train\]'"):
        ReasonSegParquet(root)
