"""Pictures with their captions and tags, and lists of tags, as JSON lines.

    {"image": "photos/1.jpg", "captions": ["a brown dog runs"], "tags": ["dog", "brown", "run"]}

`image` is relative to the file; captions and tags may be missing. A list of tags has one a line, so
that a person can take lines out:

    {"name": "dog", "category": "object", "captions": 812}
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lisa.errors import DataError
from training.tagging.caption_tags import CaptionTag

Line = TypeVar("Line")


@dataclass(frozen=True)
class TaggedPicture:
    """A picture and what is known of it.

    Attributes:
        image: Its file.
        captions: Sentences about it.
        tags: Names of what it shows.
    """

    image: Path
    captions: tuple[str, ...]
    tags: tuple[str, ...]


def read_pictures(path: Path) -> tuple[TaggedPicture, ...]:
    """Read pictures with captions, tags or both.

    Raises:
        DataError: If the file cannot be read, or a line is of another form: it is named.
    """

    def picture(record: Mapping[str, Any]) -> TaggedPicture:
        return TaggedPicture(
            path.parent / _text(record["image"]),
            _texts(record.get("captions", ())),
            _texts(record.get("tags", ())),
        )

    return _read_lines(path, picture)


def read_vocabulary(path: Path) -> tuple[tuple[str, str | None], ...]:
    """Read a list of tags: names and categories.

    Raises:
        DataError: If the file cannot be read, a line is of another form, or a name is there twice.
    """
    found = _read_lines(path, lambda one: (_text(one["name"]), _category(one.get("category"))))
    twice = [name for name, count in Counter(name for name, _ in found).items() if count > 1]
    if twice:
        raise DataError(f"{path} has the tag {twice[0]!r} twice: leave one out.")
    return found


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON objects, one a line."""
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def vocabulary_lines(counted: Iterable[tuple[CaptionTag, int]]) -> list[dict[str, Any]]:
    """Return what `read_vocabulary` reads; of a name with two categories the frequent one stays."""
    lines: dict[str, dict[str, Any]] = {}
    for tag, count in counted:
        line = {"name": tag.name, "category": tag.category, "captions": count}
        lines.setdefault(tag.name, line)
    return list(lines.values())


def _read_lines(path: Path, read: Callable[[Mapping[str, Any]], Line]) -> tuple[Line, ...]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{str(path)!r} cannot be read as text in UTF-8: {error}.") from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(read(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}:{number} is of another form ({error!r:.100}).") from error
    if not found:
        raise DataError(f"{path} is empty: give a line for each picture or tag.")
    return tuple(found)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError(f"{value!r:.40} is no text")
    return value.strip()


def _category(value: object) -> str | None:
    return None if value is None else _text(value)


def _texts(values: object) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise TypeError(f"{values!r:.40} is no list of texts")
    return tuple(map(_text, values))
