"""The numbers of a run, step by step: a progress bar and `log.jsonl`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tqdm import tqdm

LOG = "log.jsonl"
_SHOWN = ("loss", "text", "bce", "dice", "iou", "samples_per_second")
"""Beside the progress bar, as far as a run has them."""


class RunLog:
    """A context that writes a line a step; lines of steps that are done again are dropped first."""

    def __init__(self, folder: Path, first: int, steps: int, *, show: bool, name: str = "") -> None:
        """Open the log.

        Args:
            folder: Of the run.
            first: Step that the run begins with.
            steps: Of the run.
            show: Whether this process writes; the others keep silent.
            name: Shown beside the progress bar.
        """
        self._path = folder / LOG
        self._first = first
        self._show = show
        self._bar = tqdm(total=steps, initial=first, desc=name, unit="step", disable=not show)
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        """Begin to write."""
        if self._show:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            forget(self._path, self._first)
            self._file = self._path.open("a", encoding="utf-8")
        return self

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write the numbers of a step."""
        if self._file is None:
            return
        line = {"step": step, **{name: short(value) for name, value in values.items()}}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        shown = {name: f"{values[name]:.3g}" for name in _SHOWN if name in values}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file and the bar."""
        if self._file is not None:
            self._file.close()
        self._bar.close()


def forget(log: Path, first: int) -> None:
    """Drop the lines of steps that are done again: all from `first` on, and one that was cut."""
    if not log.exists():
        return
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] < first]
    staging = log.with_suffix(".part")
    staging.write_text("".join(kept), encoding="utf-8")
    os.replace(staging, log)


def short(value: float) -> float:
    """Round a number for a log to six digits."""
    return float(f"{value:.6g}")
