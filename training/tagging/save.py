"""Writes what was trained where something may lie already."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path


def write_over(save: Callable[[Path], None], folder: Path) -> None:
    """Replaces files of a folder; others stay, and an interrupted run leaves the old ones.

    Args:
        save: Writes files, and no folders, into the empty folder that it is given.
        folder: Where they go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as staging:
        made = Path(staging) / "made"
        save(made)
        for file in made.iterdir():
            file.replace(folder / file.name)
