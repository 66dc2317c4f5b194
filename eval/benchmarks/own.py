"""Data sets of one's own: whatever `lisa data check` can read, by its path.

Every entry of a registry, every JSONL file of a folder and every split of a saved data set is a
benchmark, named as the entry; those for validation come first. `PATH:NAME` opens one of them. How
records are asked about is told in `eval.data_sets`.
"""

from __future__ import annotations

from pathlib import Path

from eval.benchmarks.contract import MAX_NEW_TOKENS, Benchmark
from eval.benchmarks.lazy_pictures import record_pictures
from lisa.data.formats import read_registry
from lisa.data.known_keys import suggest
from lisa.data.registry import DataSetEntry
from lisa.data.wordings import Wording
from lisa.errors import ConfigError

_SUFFIXES = (".yaml", ".yml", ".json", ".jsonl")


def is_own(name: str) -> bool:
    """Whether a name that is no benchmark's is meant as a path."""
    path, _ = _split(name)
    return path.exists() or path.suffix in _SUFFIXES or len(path.parts) > 1


def open_own(name: str, data: Path | None, wording: Wording) -> tuple[Benchmark, ...]:
    """Open data sets of one's own.

    Args:
        name: Path of a registry, file or folder, perhaps with `:NAME` behind it.
        data: Must be None: the path says where the data lie.
        wording: How names and sentences are asked for.

    Raises:
        ConfigError: If there is nothing at the path, or no such entry.
        DataError: If a file is missing or damaged.
    """
    if data is not None:
        raise ConfigError(f"{name!r} says where its data lie: leave --data out.")
    path, chosen = _split(name)
    registry = read_registry(path)
    entries = (*registry.validation, *registry.data_sets)
    if chosen is not None:
        entries = tuple(entry for entry in entries if entry.name == chosen)
        if not entries:
            known = [one.name for one in (*registry.validation, *registry.data_sets)]
            raise ConfigError(f"{str(path)!r} has no {chosen!r}: {suggest(chosen, known)}.")
    return tuple(_open(entry, wording) for entry in entries)


def _split(name: str) -> tuple[Path, str | None]:
    """Return the path, and the entry behind its last colon."""
    whole = Path(name).expanduser()
    front, colon, entry = name.rpartition(":")
    if whole.exists() or not colon or not front:
        return whole, None
    return Path(front).expanduser(), entry


def _open(entry: DataSetEntry, wording: Wording) -> Benchmark:
    reader = entry.open()
    split = f", split {entry.split}" if entry.split else ""
    return Benchmark(
        name=entry.name,
        task="masks",
        families=("instances",),
        pictures=record_pictures(reader, entry.name, wording),
        max_new_tokens=MAX_NEW_TOKENS,
        source=f"your own data ({entry.format}{split})",
    )
