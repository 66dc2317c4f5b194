"""What a reader is: a data set on disk as a sequence of records.

To add one: write a file with a class decorated by `@register_reader("name")` whose docstring shows
one raw record and the record it becomes, import the file in `lisa/data/readers/__init__.py`, and
add a fixture in the released format to its test.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias, TypeVar

from lisa.data.records import Record
from lisa.errors import ConfigError, DataError

Task: TypeAlias = Literal["semantic", "referring", "reasoning", "dialogue"]
"""What a data set teaches; LISA mixes its data by these groups (`sem_seg`, `refer_seg`,
`reason_seg`, `vqa`) and draws differently from each."""


class Reader(ABC):
    """A data set on disk; record `i` is read when it is asked for.

    Attributes:
        task: What the data set teaches.
        splits: Names of its splits; empty if it has none.
        default_split: Taken where the user names none; None if it has no splits.
    """

    task: ClassVar[Task]
    splits: ClassVar[tuple[str, ...]] = ()
    default_split: ClassVar[str | None] = None

    @abstractmethod
    def __init__(self, root: Path, split: str | None = None) -> None:
        """Open the data set: check that its files are there and read its index, but no picture.

        Args:
            root: The folder that the release unpacks into, or the data set's one file.
            split: One of `splits`; None is the default one.

        Raises:
            DataError: If a file is missing or damaged; the sentence names it.
            ConfigError: If there is no such split.
        """

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of records."""

    @abstractmethod
    def __getitem__(self, index: int) -> Record:
        """Read record `index`.

        Raises:
            DataError: If it is damaged; the sentence names the file and the record.
            IndexError: If there is no such record.
        """

    def chosen_split(self, split: str | None) -> str:
        """Return the split that the user named, or the default one; "" if there are no splits.

        Raises:
            ConfigError: If the data set has no such split.
        """
        wanted = split if split is not None else self.default_split
        if wanted is None and not self.splits:
            return ""
        if wanted is None or wanted not in self.splits:
            known = f"choose one of {', '.join(self.splits)}" if self.splits else "leave it out"
            raise ConfigError(f"{type(self).__name__} has no split {split!r}: {known}.")
        return wanted


READERS: dict[str, type[Reader]] = {}

_ReaderClass = TypeVar("_ReaderClass", bound=type[Reader])


def register_reader(*names: str) -> Callable[[_ReaderClass], _ReaderClass]:
    """Enter a class in `READERS` under one or more names."""

    def enter(cls: _ReaderClass) -> _ReaderClass:
        for name in names:
            READERS[name] = cls
        return cls

    return enter


def open_reader(name: str, root: str | Path, split: str | None = None) -> Reader:
    """Open a data set by the name of its format.

    Args:
        name: One of `READERS`, such as `refcoco` or `jsonl`.
        root: As the reader takes it.
        split: As the reader takes it.

    Raises:
        ConfigError: If no reader has that name, or the data set has no such split.
        DataError: If a file is missing or damaged.
    """
    if name not in READERS:
        raise ConfigError(
            f"There is no data set format {name!r}: choose one of {', '.join(sorted(READERS))}."
        )
    return READERS[name](Path(root).expanduser(), split)


def require_files(data_set: str, *paths: Path) -> None:
    """Check that files or folders are there before the first record is read.

    Raises:
        DataError: Naming all that are missing.
    """
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise DataError(
            f"{data_set} is not complete: there is no {', no '.join(missing)}. Point at the folder "
            "that its release unpacks into."
        )
