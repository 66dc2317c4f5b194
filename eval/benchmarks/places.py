"""Finds a data set in the folder that the user named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lisa.errors import DataError


def find_root(name: str, data: Path, places: Sequence[str], wanted: Sequence[str]) -> Path:
    """Return the first place that holds the data set.

    Args:
        name: Of the benchmark, for the message.
        data: Folder that the user named: the data set's own, or one that holds several.
        places: Where it may lie, relative to `data`; "." is the folder itself.
        wanted: Files or folders, relative to a place, one of which shows that the data are there.

    Raises:
        DataError: If none of the places has any of them; the sentence names them all.
    """
    folders = [data / place for place in places]
    for folder in folders:
        if any((folder / one).exists() for one in wanted):
            return folder
    if not data.is_dir():
        raise DataError(f"{name}: there is no folder {str(data)!r}: check --data.")
    looked = ", ".join(repr(str(folder)) for folder in folders)
    raise DataError(
        f"{name}: there is no {' and no '.join(wanted)} in {looked}: point --data at the folder "
        "that the release unpacks into."
    )
