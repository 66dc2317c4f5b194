from __future__ import annotations

import builtins
import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lisa.errors import CheckpointError
from training.checkpoints import (
    MANIFEST,
    SCORES,
    best_checkpoint,
    drop_old_checkpoints,
    faults_of,
    latest_checkpoint,
    scores_of,
    step_of,
    write_checkpoint,
)


def files(step: int, size: int = 1000):
    def write(folder: Path) -> None:
        (folder / "inner").mkdir()
        (folder / "weights.bin").write_bytes(bytes([step % 256]) * size)
        (folder / "inner" / "state.json").write_text(f"{step}")

    return write


def scored(step: int, giou: float | None, asked: str = "the same"):
    def write(folder: Path) -> None:
        files(step)(folder)
        if giou is not None:
            (folder / SCORES).write_text(json.dumps({"giou": giou, "asked": asked}))

    return write


def test_a_checkpoint_is_what_was_written(tmp_path: Path) -> None:
    made = write_checkpoint(tmp_path / "new", 12, files(12))
    assert made == latest_checkpoint(tmp_path / "new")
    assert step_of(made) == 12
    assert not faults_of(made)
    assert (made / "inner" / "state.json").read_text() == "12"
    assert {path.name for path in (tmp_path / "new").iterdir()} == {made.name}


def test_the_newest_is_the_one_with_most_steps(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path) is None
    for step in (900, 1000, 99):
        write_checkpoint(tmp_path, step, files(step))
    assert step_of(latest_checkpoint(tmp_path)) == 1000


def test_a_step_can_be_written_again(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 3, files(3))
    again = write_checkpoint(tmp_path, 3, files(4))
    assert (again / "inner" / "state.json").read_text() == "4"
    assert not faults_of(again)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: (c / "weights.bin").unlink(), "weights.bin is missing"),
        (lambda c: (c / "weights.bin").write_bytes(b"x"), "weights.bin has 1 bytes, not 1000"),
        (lambda c: (c / "weights.bin").write_bytes(b"x" * 1000), "weights.bin was changed"),
        (lambda c: (c / MANIFEST).unlink(), "manifest.json is missing or damaged"),
        (lambda c: (c / MANIFEST).write_text('{"files": {"a": 3}}'), "missing or damaged"),
        (lambda c: (c / MANIFEST).write_text("[]"), "missing or damaged"),
        (lambda c: (c / "inner" / "state.json").unlink(), "inner/state.json is missing"),
    ],
)
def test_a_damaged_checkpoint_is_never_resumed_from(tmp_path: Path, damage, message: str) -> None:
    good = write_checkpoint(tmp_path, 1, files(1))
    bad = write_checkpoint(tmp_path, 2, files(2))
    damage(bad)
    assert any(message in fault for fault in faults_of(bad))
    assert latest_checkpoint(tmp_path) == good


@pytest.mark.parametrize("keep", [1, 3])
def test_old_ones_go_and_the_best_stays(tmp_path: Path, keep: int) -> None:
    gious = {2: 0.7, 3: 0.7, 4: 0.6}  # of equal ones the first; the others were not validated
    made = [write_checkpoint(tmp_path, n, scored(n, gious.get(n))) for n in range(1, 7)]
    drop_old_checkpoints(tmp_path, keep)
    assert sorted(tmp_path.iterdir()) == sorted({made[1], *made[-keep:]})
    assert best_checkpoint(tmp_path) == made[1]
    assert scores_of(made[1]) == {"giou": 0.7, "asked": "the same"}


def test_scores_of_other_questions_are_not_compared(tmp_path: Path) -> None:
    assert best_checkpoint(tmp_path) is None
    write_checkpoint(tmp_path, 1, scored(1, 0.9, "of another registry"))
    second = write_checkpoint(tmp_path, 2, scored(2, 0.5))
    write_checkpoint(tmp_path, 3, scored(3, 0.4))
    assert best_checkpoint(tmp_path) == second


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"giou": null, "asked": "x"}', '{"giou": 0.5}'])
def test_scores_that_are_none(tmp_path: Path, text: str) -> None:
    made = write_checkpoint(tmp_path, 1, files(1))
    (made / SCORES).write_text(text)
    assert scores_of(made) is None
    assert best_checkpoint(tmp_path) is None


def test_what_a_killed_run_left_goes(tmp_path: Path) -> None:
    good = write_checkpoint(tmp_path, 1, files(1))
    (tmp_path / "step-00000002.staged").mkdir()
    assert latest_checkpoint(tmp_path) == good
    drop_old_checkpoints(tmp_path, 2)
    assert list(tmp_path.iterdir()) == [good]


def test_a_full_disk_leaves_the_one_before(tmp_path: Path) -> None:
    good = write_checkpoint(tmp_path, 1, files(1))

    def no_room(folder: Path) -> None:
        (folder / "weights.bin").write_bytes(b"some")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(CheckpointError, match="step 2 cannot .*No space left.*make room"):
        write_checkpoint(tmp_path, 2, no_room)
    assert list(tmp_path.iterdir()) == [good]
    assert not faults_of(good)


def test_a_failure_at_any_call_leaves_the_one_before(tmp_path: Path, monkeypatch) -> None:
    """Every call that touches the disk is made to fail once, the n-th of them, for every n."""
    calls = [0]
    fail_at = [0]

    def counted(real):
        def call(*args, **kwargs):
            calls[0] += 1
            if calls[0] == fail_at[0]:
                raise OSError(errno.EIO, "Input/output error")
            return real(*args, **kwargs)

        return call

    good = write_checkpoint(tmp_path, 1, files(1))
    for name in ("fsync", "replace", "open"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    monkeypatch.setattr(builtins, "open", counted(builtins.open))
    failures = 0
    while True:
        calls[0], fail_at[0] = 0, fail_at[0] + 1
        try:
            write_checkpoint(tmp_path, 2, files(2))
        except CheckpointError:
            failures += 1
            latest = latest_checkpoint(tmp_path)
            assert latest == good or not faults_of(latest)
            continue
        break
    assert failures >= 5
    assert step_of(latest_checkpoint(tmp_path)) == 2


_WRITER = """
import sys
from pathlib import Path
from training.checkpoints import write_checkpoint, drop_old_checkpoints

def write(folder):
    for number in range(20):
        (folder / f"{number}.bin").write_bytes(bytes(200_000))

step = 0
while True:
    step += 1
    write_checkpoint(Path(sys.argv[1]), step, write)
    drop_old_checkpoints(Path(sys.argv[1]), 2)
    print(step, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_killed_at_any_moment_a_whole_one_is_left(tmp_path: Path) -> None:
    rng = random.Random(0)
    for round_number in range(4):
        folder = tmp_path / str(round_number)
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        done = int(process.stdout.readline())
        time.sleep(rng.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0].split()
        done = int(rest[-1]) if rest else done
        latest = latest_checkpoint(folder)
        assert latest is not None
        assert step_of(latest) in (done, done + 1)


def test_other_folders_are_no_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "step-12").mkdir()
    (tmp_path / "step-00000012x").mkdir()
    assert latest_checkpoint(tmp_path) is None
    with pytest.raises(CheckpointError, match="is no checkpoint of a run"):
        step_of(tmp_path / "step-12")
