"""Files that a data set names: joined without leaving its folder, looked for, and read as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from lisa.errors import DataError


def safe_join(root: Path, name: str) -> Path:
    r"""Join a file name that an annotation gives to a folder.

    Annotations come from strangers: one that names `/etc/passwd` or `../../key` must not make us
    read it. Links inside the folder are followed, because large data sets are often linked in.

    Args:
        root: The folder that the name is relative to.
        name: A relative path with `/` or `\` between its parts.

    Raises:
        DataError: If the name is no text, is empty or absolute, or climbs out with `..`.
    """
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise DataError(f"a file name must be a text such as 'images/1.jpg', not {name!r:.80}.")
    windows = PureWindowsPath(name)
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if windows.drive or windows.root or ".." in parts or not parts:
        raise DataError(
            f"the file name {name!r:.200} leaves the folder of its data set, {str(root)!r}: give a "
            "path relative to that folder, without '..'."
        )
    return root.joinpath(*parts)


def require_pictures(data_set: str, paths: Iterable[Path]) -> None:
    """Check that pictures are there, without opening any; every folder is listed once.

    Args:
        data_set: Its name, for the message.
        paths: Of the pictures.

    Raises:
        DataError: Naming the first that is missing and how many are.
    """
    wanted = list(paths)
    folders = {path.parent for path in wanted}
    listed = {path: set(os.listdir(path)) if path.is_dir() else set() for path in folders}
    missing = [path for path in wanted if path.name not in listed[path.parent]]
    if missing:
        raise DataError(
            f"{data_set} is not complete: there is no {str(missing[0])!r}, and {len(missing)} of "
            f"{len(wanted)} pictures are missing: get them, or point at the folder that has them."
        )


def read_json(path: Path) -> Any:
    """Read a JSON file in UTF-8, or in cp1252 where it is no UTF-8 (some of ReasonSeg's are not).

    Args:
        path: Of the file.

    Raises:
        DataError: If it is not there or is no JSON; the sentence gives file, line and column.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"there is no file {str(path)!r}: check the folder.") from error
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}.") from error
    try:
        return json.loads(_decode(raw, path))
    except json.JSONDecodeError as error:
        raise DataError(
            f"{str(path)!r} is no JSON at line {error.lineno}, column {error.colno} ({error.msg}): "
            "it is damaged or cut off, get it again."
        ) from error
    except (ValueError, RecursionError) as error:  # numbers or nesting that nobody writes honestly
        raise DataError(f"{str(path)!r} is JSON that cannot be read: {error}.") from error


def _decode(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as not_utf8:
        try:
            return raw.decode("cp1252")
        except UnicodeDecodeError:
            line = raw.count(b"\n", 0, not_utf8.start) + 1
            raise DataError(
                f"{str(path)!r} is no text at line {line}: save it as UTF-8."
            ) from not_utf8
