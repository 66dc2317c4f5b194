"""What lies at a path: a registry, or a data set whose format shows in its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lisa.data.faults import Fault
from lisa.data.readers import READERS
from lisa.data.readers.own_jsonl import jsonl_splits
from lisa.data.readers.paths import read_json
from lisa.data.registry import DataSetEntry, Registry, scan_registry
from lisa.errors import ConfigError, DataError

_REGISTRY_SUFFIXES = (".yaml", ".yml")
# How files of pictures that are not learnt from begin: val, valid, validation, test.
_ASKED = ("val", "test")


def registry_at(
    path: str | Path, kind: str | None = None, split: str | None = None
) -> tuple[Registry, list[Fault]]:
    """Return the data sets at a path as a registry, and what is wrong with naming them.

    A folder with several JSONL files, or with several splits of `datasets`, is a data set for each;
    those whose names begin with "val" or "test" are validation.

    Args:
        path: Of a registry, of a data set's file or folder, or a hub name if the format is given.
        kind: Format of the data set; None guesses it.
        split: Of the data set; None takes all that can be listed, or its default one.

    Raises:
        ConfigError: If there is nothing there or the format cannot be guessed; a registry has no
            format or split.
    """
    located = Path(path).expanduser()
    if located.suffix in _REGISTRY_SUFFIXES and kind is None:
        if split is not None:
            raise ConfigError(f"{str(path)!r} names its splits itself: leave {split!r} out.")
        return scan_registry(located)
    chosen = kind if kind is not None else guess_format(located)
    splits: list[str | None] = [split]
    if split is None and located.is_dir():
        splits = [*_listed_splits(located, chosen)] or [None]
    entries = [
        DataSetEntry(one if one is not None else located.name, chosen, located, one)
        for one in splits
    ]
    asked = [e for e in entries if len(entries) > 1 and e.name.lower().startswith(_ASKED)]
    return Registry(tuple(e for e in entries if e not in asked), tuple(asked)), []


def read_registry(path: str | Path) -> Registry:
    """Return the data sets at a path, which may be a registry or a data set itself.

    Args:
        path: As :func:`registry_at` takes it.

    Raises:
        ConfigError: If anything is wrong with naming them; the message holds every fault.
    """
    registry, faults = registry_at(path)
    if faults:
        raise ConfigError(" ".join(map(str, faults)))
    return registry


def guess_format(path: Path) -> str:
    """Guess the format of a data set from its files.

    Args:
        path: Of a file or folder.

    Raises:
        ConfigError: If nothing is there, or it may be of several formats.
    """
    if not path.exists():
        raise ConfigError(
            f"there is no {str(path)!r}: check the path; a name on the hub needs --format datasets."
        )
    kind = _guess_folder(path) if path.is_dir() else _guess_file(path)
    if kind is None or kind not in READERS:
        raise ConfigError(
            f"the format of {str(path)!r} does not show in its files: give --format, one of "
            f"{', '.join(sorted(READERS))}."
        )
    return kind


def _guess_folder(folder: Path) -> str | None:
    if any((folder / name).is_file() for name in ("state.json", "dataset_dict.json")):
        return "datasets"
    if jsonl_splits(folder):
        return "jsonl"
    first = next(iter(sorted(folder.glob("*.json"))), None)
    if first is None:
        first = next(iter(sorted(folder.rglob("*.json"))), None)
    if first is not None:
        return _guess_file(first)
    return "datasets" if next(folder.rglob("*.parquet"), None) is not None else None


def _guess_file(path: Path) -> str | None:
    if path.suffix == ".jsonl":
        return "jsonl"
    if path.suffix != ".json":
        return None
    try:
        document = read_json(path)
    except DataError as error:
        raise ConfigError(f"{error} Or give --format.") from error
    keys = set(document) if isinstance(document, dict) else set[Any]()
    if {"images", "annotations"} & keys:
        return "coco"
    if "shapes" in keys:
        # ReasonSeg's files grew out of LabelMe's: the question is what they add.
        return "reason_seg" if "text" in keys else "labelme"
    return None


def _listed_splits(folder: Path, kind: str) -> list[str]:
    if kind == "jsonl":
        return jsonl_splits(folder)
    listing = folder / "dataset_dict.json"
    if kind != "datasets" or not listing.is_file():
        return []
    document = read_json(listing)
    splits = document.get("splits") if isinstance(document, dict) else None
    return [str(split) for split in splits] if isinstance(splits, list) else []
