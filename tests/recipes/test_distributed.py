"""Several processes learn as one: DeepSpeed by the real command line, and the order of the data."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from lisa.cli import main
from lisa.pipeline import LisaPipeline
from lisa.settings import build_settings
from tests.data_sets import llava_instruct, own_jsonl
from tests.tiny import tiny_processor
from tests.tiny_run import write_model
from training.checkpoints import latest_checkpoint
from training.config import TrainConfig
from training.run import open_mixture
from training.state import OPTIMIZER, TRAINED
from training.stream import Slots, micro_batches

ROOT = Path(__file__).resolve().parents[2]
STEPS = 4
# Sums in another order. Where a gradient is zero but for rounding, such as that of a key's bias,
# AdamW makes a whole move of the noise; the learning rate bounds that: 3 % of three steps of 3e-4.
ATOL = 3e-5

needs_deepspeed = pytest.mark.skipif(
    importlib.util.find_spec("deepspeed") is None,
    reason="DeepSpeed is not installed: pip install 'lisa-assistant[deepspeed]'",
)
stages = pytest.mark.parametrize("stage", [2, 3])


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, data sets with and without masks, and a configuration."""
    folder = tmp_path_factory.mktemp("ground")
    model = write_model(folder)
    own_jsonl.write(folder / "own")
    llava_instruct.write(folder / "talk")
    own = {"name": "own", "format": "jsonl", "path": "own"}
    talk = {"name": "talk", "format": "llava_instruct", "path": "talk"}
    (folder / "own.yaml").write_text(yaml.safe_dump({"data_sets": [own]}))
    mixed = {"data_sets": [own, talk], "validation": [{**own, "name": "held"}]}
    (folder / "mixed.yaml").write_text(yaml.safe_dump(mixed))
    config = {
        "model": {"start": str(model), "dtype": "float32"},
        "learning": {"lora_dropout": 0.0},
        "data": {"registry": "own.yaml", "workers": 0, "max_length": 2000},
        "optimizer": {"steps": STEPS, "batch": 1, "accumulation": 2, "warmup": 2},
        "output": {"folder": str(folder / "run"), "save_every": 2},
        "device": "cpu",
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture(scope="module")
def alone(ground: Path) -> Path:
    """The folder of a run of one plain process."""
    output = ground / "alone"
    words = [f"output.folder={output}", "optimizer.accumulation=4", "optimizer.steps=3"]
    assert main(["train", str(ground / "run.yaml"), *words]) == 0
    return output


def train_on_two(ground: Path, output: Path, *words: str) -> None:
    """Start the command as torchrun does it; a run that hangs is ended."""
    launch = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "lisa.cli", "train"]
    done = subprocess.run(
        [sys.executable, *launch, str(ground / "run.yaml"), f"output.folder={output}", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def values(run: Path, name: str) -> list[float]:
    return [json.loads(line)[name] for line in (run / "log.jsonl").read_text().splitlines()]


def tensors(run: Path, name: str) -> dict[str, torch.Tensor]:
    checkpoint = latest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    return load_file(checkpoint / name)


@needs_deepspeed
@stages
def test_zero_on_two_processes_learns_as_one_plain(
    ground: Path, alone: Path, tmp_path: Path, stage: int
) -> None:
    words = ["engine.kind=deepspeed", f"engine.zero_stage={stage}", "optimizer.steps=3"]
    train_on_two(ground, tmp_path, *words)
    assert values(tmp_path, "loss") == pytest.approx(values(alone, "loss"), rel=1e-5)
    assert values(tmp_path, "norm") == pytest.approx(values(alone, "norm"), rel=1e-4)
    one, two = tensors(alone, TRAINED), tensors(tmp_path, TRAINED)
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], atol=ATOL, rtol=1e-5, msg=name)


@pytest.mark.slow
@needs_deepspeed
@stages
def test_zero_goes_on_bit_for_bit(ground: Path, tmp_path: Path, stage: int) -> None:
    """Also where only one process has masks in a step, and with validation in between."""
    words = [
        "engine.kind=deepspeed",
        f"engine.zero_stage={stage}",
        f"data.registry={ground / 'mixed.yaml'}",
        "learning.lora_dropout=0.1",
        "optimizer.accumulation=1",
        "output.keep=5",
    ]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train_on_two(ground, whole, *words, "validation.every=2", "validation.records=3")
    # A run that died after its second step.
    shutil.copytree(whole, stopped)
    shutil.rmtree(stopped / "checkpoints" / f"step-{STEPS:08d}")
    lines = (stopped / "log.jsonl").read_text().splitlines(keepends=True)
    (stopped / "log.jsonl").write_text("".join(lines[:2]))
    train_on_two(ground, stopped, *words, "validation.every=0", "--resume")
    assert values(stopped, "loss") == values(whole, "loss")
    assert len(values(whole, "loss")) == STEPS
    for file in (TRAINED, OPTIMIZER):
        one, other = tensors(whole, file), tensors(stopped, file)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one), file

    checkpoint = latest_checkpoint(whole / "checkpoints")
    assert main(["merge", str(checkpoint), str(tmp_path / "merged")]) == 0
    merged = dict(
        LisaPipeline.from_pretrained(tmp_path / "merged", device="cpu").model.named_parameters()
    )
    full = {name: one for name, one in tensors(whole, TRAINED).items() if "lora_" not in name}
    assert full
    assert all(torch.equal(merged[name], one) for name, one in full.items())


@pytest.mark.slow
@needs_deepspeed
def test_another_number_of_processes_is_refused(ground: Path, tmp_path: Path, capsys) -> None:
    """Each process holds a part of the moments; a run by itself needs no launcher."""
    words = [str(ground / "run.yaml"), f"output.folder={tmp_path}", "optimizer.steps=1"]
    train_on_two(ground, tmp_path, "optimizer.steps=1", "engine.kind=deepspeed")
    done = subprocess.run(
        [sys.executable, "-m", "lisa.cli", "train", *words, "engine.kind=deepspeed", "--resume"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "is of another run: processes was 2 and is 1" in done.stderr


@pytest.mark.parametrize("workers", [0, 1])
def test_processes_share_the_stream_without_repeats_or_gaps(ground: Path, workers: int) -> None:
    """What two processes read, put in order, is what one reads; also after they go on."""
    written = yaml.safe_load((ground / "run.yaml").read_text())
    written["data"]["registry"] = str(ground / "mixed.yaml")
    config = build_settings(TrainConfig, written, "test")

    def keys(slots: Slots, first: int, steps: int) -> list[list[str]]:
        stream = micro_batches(
            open_mixture(config),
            tiny_processor(),
            slots,
            first=first,
            max_length=config.data.max_length,
            workers=workers,
        )
        return [list(next(stream).batch.keys) for _ in range(steps * slots.accumulation)]

    one = keys(Slots(batch=2, accumulation=4), 0, 3)
    two = [keys(Slots(2, 2, processes=2, process=process), 0, 3) for process in (0, 1)]
    assert [batch for pair in zip(*two, strict=True) for batch in pair] == one
    late = [keys(Slots(2, 2, processes=2, process=process), 1, 2) for process in (0, 1)]
    assert [batch for pair in zip(*late, strict=True) for batch in pair] == one[4:]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_every_position_is_taken_once(processes: int) -> None:
    shares = [Slots(2, 3, processes, process) for process in range(processes)]
    taken = [
        position
        for step in range(4)
        for micro in range(3)
        for share in shares
        for position in share.positions(step, micro)
    ]
    assert taken == list(range(4 * shares[0].pictures))
