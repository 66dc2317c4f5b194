from __future__ import annotations

from pathlib import Path

import pytest

from lisa.data.formats import read_registry
from lisa.data.readers import READERS
from lisa.data.readers.own_hub import OwnDataset
from lisa.data.readers.own_jsonl import JsonLines
from lisa.data.registry import DataSetEntry, Registry, scan_registry
from lisa.errors import ConfigError
from tests.data_sets import own_jsonl

GOOD = """\
data_sets:
  - name: cups
    format: jsonl
    path: cups/train.jsonl
    weight: 3
  - {name: all, format: jsonl, path: cups, split: train}
  - {name: theirs, format: datasets, path: me/cups}
validation:
  - {name: held-out, format: jsonl, path: cups, split: validation}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "data.yaml"
    path.write_text(text)
    return path


def test_entries(tmp_path: Path):
    own_jsonl.write(tmp_path / "cups")
    registry = read_registry(write(tmp_path, GOOD))
    cups = tmp_path / "cups"
    assert registry == Registry(
        (
            DataSetEntry("cups", "jsonl", cups / "train.jsonl", None, 3.0),
            DataSetEntry("all", "jsonl", cups, "train", 1.0),
            DataSetEntry("theirs", "datasets", Path("me/cups"), None, 1.0),
        ),
        (DataSetEntry("held-out", "jsonl", cups, "validation"),),
    )
    for entry in registry.data_sets[:2]:
        assert isinstance(entry.open(), JsonLines)
        assert len(entry.open()) == 3
    (tmp_path / "me" / "cups").mkdir(parents=True)
    theirs = read_registry(tmp_path / "data.yaml").data_sets[2]
    assert READERS[theirs.format] is OwnDataset
    assert theirs.path == tmp_path / "me" / "cups"  # a folder goes before a name on the hub


def test_absolute_paths_and_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    text = "data_sets:\n- {name: a, format: jsonl, path: ~/a}\n- {name: b, format: jsonl, path: /b}"
    registry = read_registry(write(tmp_path, text))
    assert [entry.path for entry in registry.data_sets] == [tmp_path / "home" / "a", Path("/b")]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("weight: 3", "wieght: 3", ":2: there is no key 'wieght': perhaps 'weight' is meant"),
        ("weight: 3", "weight: 0", ":2: 'weight' must be a number above zero, not 0"),
        ("weight: 3", "weight: -1", "above zero, not -1"),
        ("weight: 3", "weight: .inf", "above zero, not inf"),
        ("weight: 3", "weight: .nan", "above zero, not nan"),
        ("weight: 3", "weight: yes", "above zero, not True"),
        ("weight: 3", "weight: '3'", "above zero, not '3'"),
        ("name: all", "name: cups", ":6: the name 'cups' is taken in line 2"),
        ("name: held-out", "name: cups", ":9: the name 'cups' is taken in line 2"),
        ("name: all, ", "", ":6: 'name' must be a text, not missing"),
        ("name: all", "name: 3", "'name' must be a text, not 3"),
        ("path: cups, split: train", "path: []", r"'path' must be a text, not \[\]"),
        ("split: train", "split: 3", "'split' must be a text, not 3"),
        ("format: datasets", "format: dataset", ":7: there is no format 'dataset': perhaps 'datas"),
        ("validation:", "validatoin:", "there is no key 'validatoin': perhaps 'validation'"),
        ("split: validation", "weight: 2", ":9: there is no key 'weight'"),
        ("data_sets:", "data_sets: []\nextra:", "there are no 'data_sets'"),
        ("- {name: all", "- cups\n  - {name: all", ":6: a data set must have name, format"),
        ("- {name: all", "- {name: [", r"no YAML at line \d+, column \d+"),
    ],
)
def test_faults_name_their_line(tmp_path: Path, old: str, new: str, fault: str):
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError, match=fault):
        read_registry(path)
    assert scan_registry(path)[1]


def test_all_faults_at_once(tmp_path: Path):
    text = GOOD.replace("weight: 3", "weight: 0").replace("name: all", "title: all")
    registry, faults = scan_registry(write(tmp_path, text))
    assert [entry.name for entry in registry.data_sets] == ["theirs"]
    assert [fault.place.rpartition(":")[2] for fault in faults] == ["2", "6", "6"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "must hold 'data_sets:'"),
        (b"- a\n", "must hold 'data_sets:'"),
        (b"data_sets: 3\n", "'data_sets' must be a list"),
        (b"\xff\xfe\x00", "cannot be read as text"),
        (b"data_sets: !!python/object/apply:os.getcwd []\n", "is no YAML at line 1"),
    ],
)
def test_files_that_are_no_registry(tmp_path: Path, content: bytes, sentence: str):
    path = tmp_path / "data.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=sentence):
        read_registry(path)


def test_missing_file(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"none\.yaml: there is no such file"):
        read_registry(tmp_path / "none.yaml")
