from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lisa.data.readers.own_hub import OwnDataset
from lisa.data.readers.own_jsonl import JsonLines
from lisa.errors import ConfigError, DataError, MissingDependencyError
from tests.data_sets import own_hub, own_jsonl

datasets = pytest.importorskip("datasets")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "cups"
    own_hub.write(folder)
    return folder


def test_rows_say_what_lines_say(root: Path, tmp_path: Path):
    own_jsonl.write(tmp_path)
    lines, rows = JsonLines(tmp_path), OwnDataset(root)
    assert len(rows) == len(lines) == 3
    assert [rows[i].key for i in range(3)] == ["train/0", "train/1", "train/2"]
    for index in range(3):
        line, row = lines[index], rows[index]
        assert isinstance(line.image, Path)
        assert row.image == line.image.read_bytes()
        assert row.size == line.size
        for ours, theirs in zip(line.dialogues, row.dialogues, strict=True):
            texts = [[m.text for m in d.conversation.messages] for d in (ours, theirs)]
            assert texts[0] == texts[1]
            for one, other in zip(ours.segments, theirs.segments, strict=True):
                assert np.array_equal(one.read(), other.read())
    cups, dog = rows[1].targets  # the mask file was left out
    assert cups.expressions == lines[1].targets[0].expressions
    assert np.array_equal(cups.mask.read(), lines[1].targets[0].mask.read())
    assert dog.is_absent


def test_splits(root: Path):
    assert len(OwnDataset(root, "validation")) == 1
    with pytest.raises(ConfigError, match=r"no split 'test': choose one of train, validation"):
        OwnDataset(root, "test")
    with pytest.raises(ConfigError, match="has no splits"):
        OwnDataset(root / "train", "train")
    assert OwnDataset(root / "train")[0].key == "0"
    with pytest.raises(IndexError):
        OwnDataset(root)[3]


def test_parquet_folders(root: Path, tmp_path: Path):
    (tmp_path / "cups").mkdir()
    datasets.load_from_disk(str(root))["train"].to_parquet(tmp_path / "cups" / "train.parquet")
    assert OwnDataset(tmp_path / "cups")[1].key == "train/1"


def save(folder: Path, *rows: dict[str, Any]) -> OwnDataset:
    datasets.Dataset.from_list(list(rows)).save_to_disk(folder)
    return OwnDataset(folder)


def test_pictures_and_masks_beside_the_rows(tmp_path: Path):
    own_jsonl.write(tmp_path / "cups")
    row = {
        "image": "pictures/2.jpg",
        "targets": [{"text": "the plate", "segment": {"mask": "masks/2.png"}}],
        "photographer": "me",
    }
    record = save(tmp_path / "cups", row)[0]
    assert record.image == tmp_path / "cups" / "pictures" / "2.jpg"
    assert np.array_equal(record.targets[0].mask.read(), own_jsonl.plate("2"))


def test_damaged_rows_and_columns(tmp_path: Path):
    row = {"image": "../1.jpg", "targets": [{"text": "a", "segment": None}]}
    with pytest.raises(DataError, match="row 0: the file name .* leaves the folder"):
        save(tmp_path / "a", row)[0]
    with pytest.raises(DataError, match=r"columns photo, targets: it needs 'image'"):
        save(tmp_path / "b", {"photo": "a", "targets": []})
    (tmp_path / "c").mkdir()
    with pytest.raises(DataError, match="cannot be read as a data set"):
        OwnDataset(tmp_path / "c")
    with pytest.raises(DataError, match="check the path, or give an id on the hub"):
        OwnDataset(tmp_path / "none")


def test_the_package_is_optional(root: Path, monkeypatch: pytest.MonkeyPatch):
    real = builtins.__import__

    def refuse(name: str, *args: Any, **options: Any) -> Any:
        if name == "datasets":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependencyError, match=r"pip install 'lisa-assistant\[train\]'"):
        OwnDataset(root)
