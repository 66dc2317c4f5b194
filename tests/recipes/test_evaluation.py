"""Evaluation as users run it: lisa-nano in batches, two processes, a process that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from eval.nano.pictures import Picture
from eval.nano.read_scenes import load_scenes
from eval.prediction_log import PredictionLog, read_predictions
from eval.runner import Evaluation, RunSettings, run
from lisa.masks import decode_rle
from lisa.pipeline import LisaPipeline

ROOT = Path(__file__).resolve().parents[2]

# What a process of a run does: five pictures of the tiny model, one chunk for every two.
PROGRAM = """
import sys, time
from pathlib import Path
from eval.prediction_log import PredictionLog
from eval.processes import current_processes
from eval.runner import RunSettings, run
from lisa.pipeline import LisaPipeline
from tests.tiny import tiny_model, tiny_processor
from tests.unit.eval.fakes import make_pictures

folder, name, wait = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
processes = current_processes("cpu")
pictures = make_pictures(folder / f"pictures-{processes.index}", 5)
pipeline = LisaPipeline(tiny_model(), tiny_processor())
answer = pipeline.answer
pipeline.answer = lambda *a, **k: time.sleep(wait) or answer(*a, **k)
settings = RunSettings(batch_size=1, max_new_tokens=4)
with PredictionLog(folder / name, {"model": "tiny"}, "--resume" in sys.argv, processes) as log:
    found = run(pipeline, pictures, log, settings, name="tiny")
if processes.is_main:
    print(len(found.results), sum(one.counts.intersection for one in found.results))
"""


def start(count: int, folder: Path, name: str, *words: str, wait: float = 0) -> subprocess.Popen:
    for index in range(count):
        (folder / f"pictures-{index}").mkdir(exist_ok=True)
    program = folder / "program.py"
    program.write_text(PROGRAM)
    launch = [sys.executable]
    if count > 1:
        launch += ["-m", "torch.distributed.run", "--nproc_per_node", str(count)]
        launch += ["--standalone"]
    return subprocess.Popen(
        [*launch, str(program), str(folder), name, str(wait), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    out, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    return out


def untimed(path: Path) -> list[str]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for record in lines:
        record.pop("seconds", None)
        # Each process makes its own, equal pictures.
        record.pop("file", None)
    return [json.dumps(record) for record in lines]


@pytest.mark.slow
def test_two_processes_over_five_pictures_equal_one(tmp_path: Path) -> None:
    one = finish(start(1, tmp_path, "one.jsonl"))
    two = finish(start(2, tmp_path, "two.jsonl"))
    assert one == two
    assert one.startswith("40 ")
    assert untimed(tmp_path / "one.jsonl") == untimed(tmp_path / "two.jsonl")
    assert not list(tmp_path.glob("*.rank-*"))


@pytest.mark.slow
def test_processes_that_were_killed_leave_what_one_can_resume(tmp_path: Path) -> None:
    whole = finish(start(1, tmp_path, "one.jsonl"))
    path = tmp_path / "two.jsonl"
    process = start(2, tmp_path, "two.jsonl", wait=0.5)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        time.sleep(0.2)
        # Both have written something by now.
        if len(list(tmp_path.glob("two*.jsonl"))) == 2 and read_predictions(path).results:
            break
    # The launcher ends its processes in turn; they have no time to tidy up.
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert 0 < len(read_predictions(path).results) < 40
    assert finish(start(1, tmp_path, "two.jsonl", "--resume")) == whole
    assert untimed(path) == untimed(tmp_path / "one.jsonl")


def ask(
    pipeline: LisaPipeline, pictures: tuple[Picture, ...], path: Path | None, size: int
) -> Evaluation:
    settings = RunSettings(batch_size=size, max_new_tokens=16)
    with PredictionLog(path, {}) as log:
        return run(pipeline, pictures, log, settings, name="nano", show=False)


@pytest.mark.slow
def test_lisa_nano_answers_the_same_in_batches(tmp_path: Path) -> None:
    pipeline = LisaPipeline.from_pretrained("lisa-nano", device="cpu", offline=True)
    scenes = load_scenes()[3:7]
    pictures = tuple(
        replace(one, questions=(*one.questions[:2], *one.questions[-1:])) for one in scenes
    )
    alone = ask(pipeline, pictures, tmp_path / "alone.jsonl", 1).results
    assert len(alone) == 12
    for size in (3, 8):
        found = ask(pipeline, pictures, None, size).results
        for one, other in zip(alone, found, strict=True):
            assert (one.key, one.answer, one.pointed) == (other.key, other.answer, other.pointed)
            assert one.masks is not None
            assert other.masks is not None
            for a, b in zip(one.masks.segments, other.masks.segments, strict=True):
                first, second = decode_rle(a.mask), decode_rle(b.mask)
                assert (first & second).sum() >= 0.999 * (first | second).sum()
    assert sum(one.counts.iou for one in alone) > 4
    assert read_predictions(tmp_path / "alone.jsonl").results == alone
