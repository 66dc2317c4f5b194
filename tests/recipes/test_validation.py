"""Validation as a user has it: the real command line, held-out pictures, one process and two."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import training
from eval.benchmarks.lazy_pictures import pictures_at
from eval.data_sets import DataSet, choose_records
from eval.prediction_log import PredictionLog
from eval.runner import RunSettings, run
from eval.summary import mask_scores
from lisa.cli import main
from lisa.data.readers.own_jsonl import JsonLines
from lisa.data.wordings import WORDINGS
from lisa.pipeline import LisaPipeline
from tests.data_sets.drawing import ellipse, packed, photograph, rectangle
from tests.data_sets.own_jsonl import COLOURS, write_lines
from tests.tiny_run import write_model
from training.checkpoints import MANIFEST, SCORES

ROOT = Path(__file__).resolve().parents[2]
DEBUG = Path(training.__file__).parent / "configs" / "debug_cpu.yaml"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures to learn from, three to be asked about, a registry, a tiny model."""
    folder = tmp_path_factory.mktemp("ground")
    write_lines(folder / "train.jsonl", [write_picture(folder, n) for n in range(4)])
    write_lines(folder / "held_out.jsonl", [write_picture(folder, n) for n in range(4, 7)])
    registry = {
        "data_sets": [{"name": "shapes", "format": "jsonl", "path": "train.jsonl"}],
        "validation": [{"name": "held out", "format": "jsonl", "path": "held_out.jsonl"}],
    }
    (folder / "data.yaml").write_text(yaml.safe_dump(registry))
    write_model(folder)
    return folder


def write_picture(folder: Path, number: int) -> dict[str, Any]:
    """A red box and a blue disc, somewhere else in every picture; returns its record."""
    size, shift = (60 + number, 72), 3 * number
    box = rectangle(size, (4 + shift, 6, 22 + shift, 26))
    disc = ellipse(size, (44 - shift, 32, 66 - shift, 54))
    numbers = np.zeros(size, np.uint8)
    numbers[box], numbers[disc] = 1, 2
    photograph(numbers, COLOURS, folder / "pictures" / f"{number}.png")
    return {
        "image": f"pictures/{number}.png",
        "targets": [
            {"text": "box", "segment": {"rle": packed(box)}},
            {"text": "Which thing is blue?", "segment": {"rle": packed(disc)}},
            {"text": "dog", "segment": None},
        ],
    }


def words(ground: Path, output: Path) -> list[str]:
    return [
        "train",
        str(DEBUG),
        f"data.registry={ground / 'train.jsonl'}",
        f"validation.registry={ground / 'data.yaml'}",
        f"output.folder={output}",
        f"model.start={ground / 'model'}",
        "model.dtype=float32",
        "learning.parts=lisa",
        "data.max_length=2000",
        "device=cpu",
    ]


def lines(output: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (output / "validation.jsonl").read_text().splitlines()]
    return [{key: value for key, value in one.items() if key != "seconds"} for one in found]


def test_a_run_is_validated_and_its_best_model_merged(
    ground: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run"
    more = ["optimizer.steps=6", "validation.every=3", "output.save_every=6"]
    assert main([*words(ground, output), *more]) == 0
    printed = capsys.readouterr().out
    found = lines(output)
    assert [line["step"] for line in found] == [0, 3, 6]
    assert all(line["n"] == 9 and line["damaged"] == 0 for line in found)
    assert all(set(line["data_sets"]) == {"held out"} for line in found)
    best = max(found[1:], key=lambda line: line["giou"])
    checkpoint = output / "checkpoints" / f"step-{best['step']:08d}"
    assert f"{checkpoint} (gIoU {best['giou']:.3f})" in printed
    assert json.loads((checkpoint / SCORES).read_text())["giou"] == best["giou"]
    assert SCORES in json.loads((checkpoint / MANIFEST).read_text())["files"]
    for line in found:
        with Image.open(output / "validation" / f"step-{line['step']:08d}.png") as grid:
            assert len(grid.getcolors(grid.width * grid.height)) > 50
    # The same from the run's own configuration, wherever one stands.
    assert main(["train", str(output / "config.yaml"), "--resume"]) == 0
    assert lines(output) == found
    assert main(["merge", str(checkpoint), str(tmp_path / "merged")]) == 0
    # What was kept is what was scored.
    pipeline = LisaPipeline.from_pretrained(tmp_path / "merged", device="cpu")
    places = choose_records([DataSet("held out", JsonLines(ground / "held_out.jsonl"))], 99)
    pictures = pictures_at(places, WORDINGS["nano"])
    again = run(pipeline, pictures, PredictionLog(None, {}), RunSettings(), name="again")
    assert mask_scores(again.results)["giou"] == pytest.approx(best["giou"], abs=1e-3)
    card = (tmp_path / "merged" / "README.md").read_text()
    assert f"| {best['step']} | {best['giou']:.3f} |" in card
    assert "| train.jsonl | jsonl |" in card


@pytest.mark.slow
def test_two_processes_ask_as_one(ground: Path, tmp_path: Path) -> None:
    """An odd number of records: none is asked about twice."""
    for name, accumulation, launch in (
        ("one", 2, [sys.executable]),
        ("two", 1, [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]),
    ):
        command = words(ground, tmp_path / name)
        more = ["optimizer.steps=1", f"optimizer.accumulation={accumulation}"]
        done = subprocess.run(
            [*launch, "-m", "lisa.cli", *command, *more, "learning.lora_dropout=0"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    one, two = lines(tmp_path / "one"), lines(tmp_path / "two")
    assert one[0] == two[0]
    assert [line["n"] for line in one] == [line["n"] for line in two] == [9, 9]
    assert one[1]["asked"] == two[1]["asked"]
