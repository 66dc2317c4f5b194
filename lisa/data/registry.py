"""The registry file: names the data sets of a run, where they lie and how often each is drawn.

data_sets:                       # what is learnt
  - name: cups                   # yours to choose; logs and messages say it
    format: jsonl                # one of `lisa.data.readers.READERS`
    path: cups/train.jsonl       # relative to this file, or a name on the hub for `datasets`
    weight: 3                    # drawn three times as often as one of weight 1; 1 if left out
  - {name: refcoco, format: refcoco, path: ~/dataset, split: train}
validation:                      # what is asked while learning; may be left out, has no weights
  - {name: held-out cups, format: jsonl, path: cups/validation.jsonl}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lisa.data.faults import Fault
from lisa.data.known_keys import suggest, unknown_keys
from lisa.data.readers import READERS, Reader, open_reader
from lisa.errors import ConfigError

ENTRY_KEYS = ("name", "format", "path", "split", "weight")
SECTIONS = ("data_sets", "validation")


@dataclass(frozen=True)
class DataSetEntry:
    """One data set of a registry.

    Attributes:
        name: Unique in the registry.
        format: Of `lisa.data.readers.READERS`.
        path: Where it lies, or its name on the hub.
        split: Of the data set; None is its default one.
        weight: How often it is drawn in comparison with the others, above zero.
    """

    name: str
    format: str
    path: Path
    split: str | None = None
    weight: float = 1.0

    def open(self) -> Reader:
        """Open the data set.

        Raises:
            ConfigError: If it has no such split.
            DataError: If a file is missing or damaged.
        """
        return open_reader(self.format, self.path, self.split)


@dataclass(frozen=True)
class Registry:
    """The data sets of a run.

    Attributes:
        data_sets: What is learnt; one or more.
        validation: What is asked while learning.
    """

    data_sets: tuple[DataSetEntry, ...]
    validation: tuple[DataSetEntry, ...] = ()


def scan_registry(path: str | Path) -> tuple[Registry, list[Fault]]:
    """Read a registry file as far as it is right and say what is wrong with the rest.

    Args:
        path: Of the YAML file.

    Returns:
        The entries that are right, and a fault with its line for everything else.
    """
    path = Path(path).expanduser()
    try:
        document, lines = _read_yaml(path)
    except ConfigError as error:
        return Registry(()), [Fault(str(path), str(error))]
    faults = [Fault(str(path), problem) for problem in unknown_keys(document, SECTIONS)]
    found: dict[str, tuple[DataSetEntry, ...]] = {}
    names: dict[str, int] = {}
    for section in SECTIONS:
        entries = document.get(section) or []
        if not isinstance(entries, list):
            faults.append(Fault(str(path), f"{section!r} must be a list of data sets."))
            entries = []
        sound = []
        for position, raw in enumerate(entries):
            line = lines[section][position]
            entry, problems = _read_entry(raw, section, path.parent)
            if entry is not None and entry.name in names:
                problems.append(
                    f"the name {entry.name!r} is taken in line {names[entry.name]}: give each data "
                    "set its own."
                )
            faults += [Fault(f"{path}:{line}", problem) for problem in problems]
            if entry is not None:
                names.setdefault(entry.name, line)
                sound.append(entry)
        found[section] = tuple(sound)
    if not document.get("data_sets"):
        faults.append(Fault(str(path), "there are no 'data_sets': name one or more."))
    return Registry(found["data_sets"], found["validation"]), faults


def _read_yaml(path: Path) -> tuple[dict[Any, Any], dict[str, list[int]]]:
    """Return the document, and the line where each entry of each section begins."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = yaml.safe_load(text)
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
    except FileNotFoundError as error:
        raise ConfigError("there is no such file: check the path.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the file cannot be read as text: {error}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
        reason = getattr(error, "problem", None) or "it cannot be parsed"
        raise ConfigError(f"the file is no YAML{where}: {reason}.") from error
    if not isinstance(document, dict):
        raise ConfigError("the file must hold 'data_sets:' and below it a list of data sets.")
    assert isinstance(tree, yaml.MappingNode)
    lines: dict[str, list[int]] = {}
    for key, value in tree.value:
        if isinstance(value, yaml.SequenceNode):
            lines[str(key.value)] = [entry.start_mark.line + 1 for entry in value.value]
    return document, lines


def _read_entry(raw: Any, section: str, folder: Path) -> tuple[DataSetEntry | None, list[str]]:
    if not isinstance(raw, Mapping):
        return None, [f"a data set must have {', '.join(ENTRY_KEYS)}; this is {raw!r:.60}."]
    keys = ENTRY_KEYS if section == "data_sets" else ENTRY_KEYS[:-1]
    problems = unknown_keys(raw, keys)
    for key in ("name", "format", "path", "split"):
        value = raw.get(key)
        if value is None and key == "split":
            continue
        if not isinstance(value, str) or not value.strip():
            problems.append(f"{key!r} must be a text, not {_got(raw, key)}.")
    kind = raw.get("format")
    if isinstance(kind, str) and kind.strip() and kind not in READERS:
        problems.append(f"there is no format {kind!r:.60}: {suggest(kind, READERS)}.")
    weight = raw.get("weight", 1.0)
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not is_number or not 0 < weight < math.inf:
        problems.append(f"'weight' must be a number above zero, not {weight!r:.40}.")
    if problems:
        return None, problems
    return (
        DataSetEntry(
            name=raw["name"],
            format=raw["format"],
            path=_locate(raw["path"], raw["format"], folder),
            split=raw.get("split"),
            weight=float(weight),
        ),
        [],
    )


def _locate(path: str, kind: str, folder: Path) -> Path:
    located = folder / Path(path).expanduser()
    # "me/cups" names a data set on the hub unless there is such a folder.
    return Path(path) if kind == "datasets" and not located.exists() else located


def _got(raw: Mapping[str, Any], key: str) -> str:
    return f"{raw[key]!r:.60}" if key in raw else "missing"
