"""`lisa segment` with a tiny random model: nothing between command line and files is faked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lisa.cli import main
from tests.tiny import tiny_model, tiny_processor
from tests.unit.odd_files import photo


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    tiny_model().save_pretrained(folder)
    tiny_processor().save_pretrained(folder)
    return str(folder)


@pytest.fixture
def arguments(model: str, tmp_path: Path) -> list[str]:
    photo(90, 70).save(tmp_path / "picture.png")
    out = ["--out", str(tmp_path / "out"), "--model", model, "--device", "cpu", "--offline"]
    return [
        "segment",
        str(tmp_path / "picture.png"),
        "What is this?",
        "--max-new-tokens",
        "5",
        *out,
    ]


def test_answers(arguments: list[str], tmp_path: Path):
    assert main(arguments) == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["image_size"] == [70, 90]


def test_an_ascii_terminal_gets_an_answer_too(arguments: list[str]):
    command = [sys.executable, "-m", "lisa.cli", *arguments]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert b"\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({2: "why? " * 9000}, "tokens"),
        ({-2: "cuda:77"}, "cuda:77"),
        ({1: "missing.png"}, "no file"),
    ],
)
def test_mistakes(arguments: list[str], changes: dict[int, str], words: str, capsys):
    for index, value in changes.items():
        arguments[index] = value
    assert main(arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("lisa: error: ")
    assert words in error


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--template", "nonsense"], "nonsense"),
        (["--dtype", "int8"], "int8"),
        (["--segmenter-dtype", "fp16"], "fp16"),
        (["--model", "no-such-model"], "no-such-model"),
    ],
)
def test_wrong_options(arguments: list[str], option: list[str], words: str, capsys):
    assert main([*arguments, *option]) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
