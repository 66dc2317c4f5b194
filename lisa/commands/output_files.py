"""Files that a command writes: into a folder that is made, each complete or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lisa.errors import ConfigError


def make_folder(name: str) -> Path:
    """Makes the folder of `--out`, and all above it.

    Raises:
        ConfigError: It cannot be made or written to.
    """
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise ConfigError(f"--out {name!r} cannot be made a folder: {reason}.") from error
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"--out {name!r} may not be written to: give another folder.")
    return folder


def write_whole(path: Path, fill: Callable[[Any], object]) -> None:
    """Writes a file under another name first, so that it is never seen half written.

    Args:
        path: Of the file.
        fill: Writes into the open binary file.

    Raises:
        OSError: The disk is full or may not be written to.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        try:
            fill(file)
            file.flush()
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def write_results(
    stem: Path, record: dict[str, Any], files: Mapping[str, Callable[[Any], object]]
) -> None:
    """Writes what was found in one picture, and its record as JSON last.

    Args:
        stem: Path without suffix, to which each file's ending is added.
        record: What the JSON file holds.
        files: What writes each other file, by its ending.

    Raises:
        ConfigError: A file cannot be written.
    """
    try:
        for ending, fill in files.items():
            write_whole(stem.with_name(stem.name + ending), fill)
        text = json.dumps(record, indent=1)
        write_whole(stem.with_name(stem.name + ".json"), lambda file: file.write(text.encode()))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise ConfigError(f"results cannot be written to {str(stem)!r}: {reason}.") from error
