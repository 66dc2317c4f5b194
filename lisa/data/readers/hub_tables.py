"""Tables of the library `datasets`: from the hub, a folder of Parquet files, or a saved folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lisa.errors import ConfigError, DataError, MissingDependencyError

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def load_table(root: Path, split: str | None, default: str | None = None) -> tuple[Any, str]:
    """Load one split of a data set; rows stay in files on disk.

    Args:
        root: What `save_to_disk` wrote, a folder that `load_dataset` reads (Parquet files are
            named by their split: `test-00000-of-00001.parquet`), or an id on the hub.
        split: None takes the only one, or else the default one.
        default: Taken where none is named and there are several.

    Returns:
        The `datasets.Dataset`, and the name of its split: "" if the data set has no splits.

    Raises:
        MissingDependencyError: If `datasets` is not installed.
        DataError: If there is no such data set or it cannot be loaded.
        ConfigError: If there is no such split, or none is named and there are several.
    """
    loaded = _load(root)
    if not isinstance(loaded, dict):
        if split is not None:
            raise ConfigError(f"{str(root)!r} has no splits: leave {split!r} out.")
        return loaded, ""
    names = [str(name) for name in loaded]
    if split is None:
        split = names[0] if len(names) == 1 else default
    if split not in names:
        got = "has several splits" if split is None else f"has no split {split!r}"
        raise ConfigError(f"{str(root)!r} {got}: choose one of {', '.join(names)}.")
    return loaded[split], split


def _load(root: Path) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError(
            f"{str(root)!r} is read by the package `datasets`, which is not installed: run "
            "`pip install 'lisa-assistant[train]'`."
        ) from error
    if not root.exists() and not _HUB_ID.fullmatch(root.as_posix()):
        raise DataError(
            f"there is no folder {str(root)!r}: check the path, or give an id on the hub such as "
            "'owner/name'."
        )
    saved = any((root / name).is_file() for name in ("state.json", "dataset_dict.json"))
    try:
        return datasets.load_from_disk(str(root)) if saved else datasets.load_dataset(str(root))
    except Exception as error:  # a builder for every kind of file, each with its own exceptions
        reason = " ".join(str(error).split())
        raise DataError(
            f"{str(root)!r} cannot be read as a data set: {reason or type(error).__name__:.200}"
        ) from error
