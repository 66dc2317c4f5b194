"""Fine-tuning as a user does it: the real command lines, a tiny random model, generated data."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from lisa.cli import main
from lisa.data.readers import READERS
from tests.data_sets import own_jsonl
from tests.tiny_run import write_model
from training.checkpoints import latest_checkpoint
from training.state import OPTIMIZER, TRAINED

ROOT = Path(__file__).resolve().parents[2]

# Format, the fixture that writes it, the folder that the format's `path` names.
FORMATS = {
    "ade20k": ("ade20k", ""),
    "coco": ("own_coco", ""),
    "coco_stuff": ("coco_stuff", ""),
    "cocostuff": ("coco_stuff", ""),
    "d3": ("d3", ""),
    "datasets": ("own_hub", ""),
    "grefcoco": ("grefcoco", ""),
    "jsonl": ("own_jsonl", ""),
    "labelme": ("own_labelme", ""),
    "lisa_plus_captions": ("lisa_plus", ""),
    "lisa_plus_conversations": ("lisa_plus", ""),
    "lisa_plus_cot": ("lisa_plus", ""),
    "lisa_plus_instances": ("lisa_plus", ""),
    "llava_instruct": ("llava_instruct", ""),
    "mapillary": ("mapillary", ""),
    "paco_lvis": ("paco_lvis", ""),
    "pascal_part": ("pascal_part", ""),
    "reason_seg": ("reason_seg", ""),
    "reason_seg_parquet": ("reason_seg_parquet", ""),
    "ref_zom": ("ref_zom", ""),
    "refclef": ("refcoco", ""),
    "refcoco": ("refcoco", ""),
    "refcoco+": ("refcoco", ""),
    "refcocog": ("refcoco", ""),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("ground"))


def write_run(folder: Path, model: Path, entry: dict[str, object], **optimizer: object) -> Path:
    """Write a registry and a configuration; returns the configuration's path."""
    (folder / "data.yaml").write_text(yaml.safe_dump({"data_sets": [{"name": "it", **entry}]}))
    config = {
        "model": {"start": str(model), "dtype": "float32"},
        "learning": {"lora_dropout": 0.0},
        "data": {"registry": "data.yaml", "workers": 0, "max_length": 2000},
        "optimizer": {"batch": 1, "accumulation": 1, "warmup": 2, **optimizer},
        "output": {"folder": str(folder / "run"), "save_every": 10},
        "device": "cpu",
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "log.jsonl").read_text().splitlines()]


def test_every_format_has_a_fixture() -> None:
    assert set(FORMATS) == set(READERS)


@pytest.mark.parametrize("kind", FORMATS)
def test_twenty_steps_on_every_format(kind: str, model: Path, tmp_path: Path) -> None:
    fixture, folder = FORMATS[kind]
    import_module(f"tests.data_sets.{fixture}").write(tmp_path / "data")
    entry = {"format": kind, "path": str(Path("data") / folder)}
    config = write_run(tmp_path, model, entry, steps=20)
    faults = main(["data", "check", str(tmp_path / "data.yaml")])
    # As in the release, one thing asked for has no region; a check says so, a run learns it.
    assert faults == (2 if kind == "reason_seg_parquet" else 0)
    assert main(["train", str(config)]) == 0
    assert len(losses(tmp_path / "run")) == 20


def test_from_pictures_to_a_model(model: Path, tmp_path: Path) -> None:
    """Check, train, interrupt, resume, merge, ask: each as a program of its own."""
    own_jsonl.write(tmp_path / "own")
    config = write_run(tmp_path, model, {"format": "jsonl", "path": "own"}, steps=6)

    def lisa(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "lisa.cli", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "All is well." in lisa("data", "check", "data.yaml")
    lisa("data", "show", "data.yaml", "--out", "samples.png")
    printed = lisa("train", str(config), "output.save_every=2", "output.keep=3")
    assert "learns:" in printed
    lisa("train", str(config), "output.save_every=2", "--resume")
    checkpoint = latest_checkpoint(tmp_path / "run" / "checkpoints")
    lisa("merge", str(checkpoint), "merged")
    picture = str(tmp_path / "own" / "pictures" / "1.jpg")
    lisa(
        "segment", picture, "Segment the cup.", "--model", "merged", "--out", "answer", "--offline"
    )
    assert (tmp_path / "answer" / "result.json").exists()


def test_two_processes_are_one(model: Path, tmp_path: Path) -> None:
    """Two processes that gather two micro-batches learn as one that gathers four."""
    own_jsonl.write(tmp_path / "own")
    entry = {"format": "jsonl", "path": "own"}
    runs = {}
    for name, accumulation, launch in (
        ("one", 4, [sys.executable]),
        ("two", 2, [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]),
    ):
        config = write_run(tmp_path, model, entry, steps=1, accumulation=accumulation)
        words = ["-m", "lisa.cli", "train", str(config), f"output.folder={tmp_path / name}"]
        done = subprocess.run(
            [*launch, *words],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        runs[name] = latest_checkpoint(tmp_path / name / "checkpoints")
    assert losses(tmp_path / "one") == pytest.approx(losses(tmp_path / "two"), rel=1e-5)
    # After one step the first moment is a tenth of the gradient.
    one, two = (load_file(runs[name] / OPTIMIZER) for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=1e-6, rtol=1e-5, msg=name)
    assert load_file(runs["one"] / TRAINED).keys() == load_file(runs["two"] / TRAINED).keys()


@pytest.mark.slow
def test_killed_ten_times_a_run_ends_as_if_never(model: Path, tmp_path: Path) -> None:
    """SIGKILL at random moments, while it loads, learns or saves; in the end not a bit differs."""
    own_jsonl.write(tmp_path / "own")
    config = write_run(tmp_path, model, {"format": "jsonl", "path": "own"}, steps=40)
    words = ["train", str(config), "learning.lora_dropout=0.1", "output.save_every=1"]
    assert main([*words, f"output.folder={tmp_path / 'whole'}"]) == 0
    command = [sys.executable, "-m", "lisa.cli", *words, f"output.folder={tmp_path / 'killed'}"]
    # Sums differ in their last bits with the number of threads, so both runs have the same.
    threads = str(torch.get_num_threads())
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": threads}
    rng = random.Random(0)
    kills = 0
    while kills < 10:
        run = subprocess.Popen(
            [*command, "--resume"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        before = log_length(tmp_path / "killed")
        while run.poll() is None and log_length(tmp_path / "killed") < before + 2:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.3))
        if run.poll() is not None:
            break
        run.send_signal(signal.SIGKILL)
        run.wait()
        kills += 1
    assert kills >= 5
    subprocess.run([*command, "--resume"], env=environment, check=True, capture_output=True)
    whole, killed = (
        load_file(latest_checkpoint(tmp_path / name / "checkpoints") / TRAINED)
        for name in ("whole", "killed")
    )
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    assert losses(tmp_path / "whole") == losses(tmp_path / "killed")


def log_length(run: Path) -> int:
    path = run / "log.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0
