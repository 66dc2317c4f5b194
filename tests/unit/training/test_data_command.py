from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lisa.data.formats import guess_format, registry_at
from lisa.data.readers.own_coco import CocoInstances
from lisa.data.readers.own_jsonl import JsonLines
from lisa.data.readers.own_labelme import LabelMe
from lisa.errors import ConfigError
from tests.data_sets import own_coco, own_jsonl, own_labelme
from tests.data_sets.own_jsonl import write_lines
from training.commands import data

FORMATS = [(own_jsonl, JsonLines), (own_coco, CocoInstances), (own_labelme, LabelMe)]
REGISTRY = """\
data_sets:
  - {name: cups, format: jsonl, path: own/train.jsonl, weight: 2}
validation:
  - {name: held-out, format: jsonl, path: own, split: validation}
"""


def lisa_data(*words: object) -> int:
    parser = argparse.ArgumentParser()
    data.add_arguments(parser)
    return data.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    own_jsonl.write(tmp_path / "own")
    (tmp_path / "data.yaml").write_text(REGISTRY)
    return tmp_path


@pytest.mark.parametrize(("made", "reader"), FORMATS, ids=["jsonl", "coco", "labelme"])
def test_formats_are_guessed(tmp_path: Path, made: Any, reader: type, capsys):
    made.write(tmp_path)
    registry, faults = registry_at(tmp_path)
    assert isinstance(registry.data_sets[0].open(), reader)
    assert faults == []
    assert lisa_data("check", tmp_path) == 0
    assert "3 records, 0 problems" in capsys.readouterr().out


def test_what_cannot_be_guessed(tmp_path: Path):
    with pytest.raises(ConfigError, match="there is no .*--format datasets"):
        guess_format(tmp_path / "none")
    with pytest.raises(
        ConfigError, match=r"does not show in its files: give --format, one of .*jso"
    ):
        guess_format(tmp_path)
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(ConfigError, match="does not show"):
        guess_format(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ConfigError, match=r"no JSON at line 1.*--format"):
        guess_format(tmp_path / "a.json")


def test_splits_of_a_folder_are_told_apart(root: Path):
    registry, _ = registry_at(root / "own")
    assert [entry.name for entry in registry.data_sets] == ["train"]
    assert [entry.name for entry in registry.validation] == ["validation"]
    registry, _ = registry_at(root / "own", split="validation")
    assert [entry.name for entry in registry.data_sets] == ["validation"]
    assert registry.validation == ()


def test_check_lists_every_problem_and_ends_with_two(root: Path, capsys):
    good = own_jsonl.lines()["train"][0]
    write_lines(root / "own" / "train.jsonl", [good, "{", {**good, "image": "none.jpg"}, good])
    assert lisa_data("check", root / "data.yaml") == 2
    lines = capsys.readouterr().out.splitlines()
    path = root / "own" / "train.jsonl"
    assert lines[0].startswith(f"{path}:2: the line is no JSON")
    assert lines[1].startswith(f"{path}:3: the picture")
    assert lines[2:] == [
        "cups (training, jsonl): 4 records, 2 problems",
        "held-out (validation, jsonl): 1 record, 0 problems",
        "2 problems in all",
    ]


def test_check_as_json(root: Path, capsys):
    assert lisa_data("check", root / "data.yaml", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["faults"] == []
    assert [(d["name"], d["role"], d["records"]) for d in report["data_sets"]] == [
        ("cups", "training", 3),
        ("held-out", "validation", 1),
    ]


def test_check_finds_pictures_on_both_sides(root: Path, capsys):
    pictures = root / "own" / "pictures"
    shutil.copy(pictures / "3.jpg", pictures / "4.jpg")
    assert lisa_data("check", root / "own", "--json") == 2
    faults = json.loads(capsys.readouterr().out)["faults"]
    assert len(faults) == 2  # the other size of the picture makes its mask a fault as well
    assert faults[1]["place"] == f"{root / 'own' / 'validation.jsonl'}:1"
    assert f"{root / 'own' / 'train.jsonl'}:3" in faults[1]["message"]


def test_check_goes_on_behind_a_data_set_that_does_not_open(root: Path, capsys):
    text = REGISTRY.replace("own/train.jsonl", "none.jsonl") + "extra: 1\n"
    (root / "data.yaml").write_text(text)
    assert lisa_data("check", root / "data.yaml") == 2
    out = capsys.readouterr().out
    assert f"{root / 'data.yaml'}: there is no key 'extra'" in out
    assert "none.jsonl" in out
    assert "cups (training, jsonl): not opened, 1 problem\n" in out
    assert "held-out (validation, jsonl): 1 record, 0 problems\n" in out


@pytest.mark.parametrize(("number", "samples"), [(1, 1), (3, 3), (8, 4)])
def test_show_writes_a_grid(root: Path, number: int, samples: int, capsys):
    out = root / "grid.png"
    assert lisa_data("show", root / "data.yaml", "-n", number, "--out", out) == 0
    with Image.open(out) as grid:
        assert grid.width > 300
    assert f"Wrote {samples} sample" in capsys.readouterr().out


def test_show_leaves_damaged_records_out_and_says_so(root: Path, capsys):
    good = own_jsonl.lines()["train"][0]
    write_lines(root / "own" / "train.jsonl", ["{", good])
    out = root / "grid.png"
    assert lisa_data("show", root / "own", "--split", "train", "--out", out) == 0
    captured = capsys.readouterr()
    assert "Wrote 1 sample to" in captured.out
    assert "train.jsonl:1" in captured.err
    write_lines(root / "own" / "train.jsonl", ["{"])
    with pytest.raises(ConfigError, match="no record of .* can be read"):
        lisa_data("show", root / "own" / "train.jsonl", "--out", out)


def test_show_refuses(root: Path):
    path = root / "own" / "train.jsonl"
    with pytest.raises(ConfigError, match="must be 1 or more"):
        lisa_data("show", path, "-n", "0")
    for name in ("no/folder.png", "grid.nonsense"):
        with pytest.raises(ConfigError, match="--out .* cannot be written"):
            lisa_data("show", path, "--out", root / name)
    with pytest.raises(ConfigError, match="names its splits itself"):
        lisa_data("show", root / "data.yaml", "--split", "train")
    (root / "data.yaml").write_text("data_sets: []")
    with pytest.raises(ConfigError, match="there are no 'data_sets'"):
        lisa_data("show", root / "data.yaml")


def test_checking_loads_no_torch(root: Path):
    code = (
        "import argparse, sys\n"
        "from training.commands import data\n"
        "assert 'numpy' not in sys.modules\n"
        "parser = argparse.ArgumentParser()\n"
        "data.add_arguments(parser)\n"
        "data.run(parser.parse_args(['check', sys.argv[1]]))\n"
        "sys.exit(1 if {'torch', 'transformers', 'datasets'} & set(sys.modules) else 0)"
    )
    command = [sys.executable, "-c", code, str(root / "own")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
