"""Checkpoints that are either whole or not there.

A checkpoint is a folder. It is written beside its place, every file is brought to the disk, a
manifest with the size and hash of each file is written last, and only then does it get its name. A
run that dies in between leaves a folder without a name that counts as a checkpoint, and the one
before it stays as it was.

A checkpoint of a step that was validated holds its scores, so which one is the best follows from
the checkpoints themselves: there is no mark beside them that a kill could leave wrong.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lisa.errors import CheckpointError

MANIFEST = "manifest.json"
SCORES = "validation.json"
_NAME = re.compile(r"step-(\d{8})")
_STAGED = ".staged"
_BLOCK = 1 << 20


def write_checkpoint(folder: Path, step: int, write: Callable[[Path], None]) -> Path:
    """Write the checkpoint of a step.

    Args:
        folder: That holds the checkpoints of a run.
        step: Steps that are done.
        write: Puts the files into the folder that it is given.

    Returns:
        The checkpoint's folder.

    Raises:
        CheckpointError: If the disk is full or cannot be written; earlier checkpoints stay.
    """
    final = folder / f"step-{step:08d}"
    staged = final.with_suffix(_STAGED)
    try:
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        write(staged)
        _write_manifest(staged)
        shutil.rmtree(final, ignore_errors=True)
        os.replace(staged, final)
        _sync(folder)
    except OSError as error:
        shutil.rmtree(staged, ignore_errors=True)
        raise CheckpointError(
            f"The checkpoint of step {step} cannot be written into {str(folder)!r} ({error}): "
            "make room and start the run again, it goes on from the checkpoint before."
        ) from error
    return final


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint that is whole; damaged ones are passed over."""
    return next((one for one in reversed(_named(folder)) if not faults_of(one)), None)


def best_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint with the highest validation gIoU; of equal ones the first.

    Only those are compared that were asked the same as the newest validated one.
    """
    scored = [(one, scores) for one in _named(folder) if (scores := scores_of(one)) is not None]
    if not scored:
        return None
    asked = scored[-1][1]["asked"]
    return max((one for one in scored if one[1]["asked"] == asked), key=lambda o: o[1]["giou"])[0]


def scores_of(checkpoint: Path) -> dict[str, Any] | None:
    """Return the validation scores of a checkpoint; None if its step was not validated."""
    try:
        scores = json.loads((checkpoint / SCORES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    known = isinstance(scores, dict) and isinstance(scores.get("giou"), float) and "asked" in scores
    return scores if known else None


def step_of(checkpoint: Path) -> int:
    """Return how many steps are done in a checkpoint."""
    found = _NAME.fullmatch(checkpoint.name)
    if found is None:
        raise CheckpointError(f"{str(checkpoint)!r} is no checkpoint of a run (step-00000100).")
    return int(found[1])


def faults_of(checkpoint: Path) -> list[str]:
    """Compare a checkpoint with its manifest.

    Returns:
        What is wrong with it, file by file; nothing if it is whole.
    """
    try:
        listed = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))["files"]
        expected = {str(name): (int(f["bytes"]), str(f["sha256"])) for name, f in listed.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [f"{MANIFEST} is missing or damaged"]
    faults = []
    for name, (size, digest) in expected.items():
        path = checkpoint / name
        if not path.is_file():
            faults.append(f"{name} is missing")
        elif path.stat().st_size != size:
            faults.append(f"{name} has {path.stat().st_size} bytes, not {size}")
        elif _digest(path) != digest:
            faults.append(f"{name} was changed")
    return faults


def drop_old_checkpoints(folder: Path, keep: int) -> None:
    """Delete all but the newest `keep` checkpoints and the best one, and what was left staged.

    Args:
        folder: That holds the checkpoints of a run.
        keep: How many of the newest stay, 1 or more.
    """
    best = best_checkpoint(folder)
    for one in _named(folder)[:-keep]:
        if one != best:
            # Renamed first: a folder that is half deleted must not look like a checkpoint.
            gone = one.with_suffix(_STAGED)
            shutil.rmtree(gone, ignore_errors=True)
            one.rename(gone)
    for left in folder.glob(f"*{_STAGED}"):
        shutil.rmtree(left, ignore_errors=True)


def _named(folder: Path) -> list[Path]:
    found = [one for one in folder.glob("step-*") if _NAME.fullmatch(one.name) and one.is_dir()]
    return sorted(found, key=step_of)


def _write_manifest(staged: Path) -> None:
    files = {}
    for path in sorted(one for one in staged.rglob("*") if one.is_file()):
        _sync(path)
        name = path.relative_to(staged).as_posix()
        files[name] = {"bytes": path.stat().st_size, "sha256": _digest(path)}
    manifest = staged / MANIFEST
    manifest.write_text(json.dumps({"files": files}, indent=2) + "\n", encoding="utf-8")
    _sync(manifest)
    for path in [*staged.rglob("*/"), staged]:
        if path.is_dir():
            _sync(path)


def _sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
