"""Keys of what people write by hand: one that nobody reads is a mistake, and is told as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lisa.settings import nearest


def unknown_keys(written: Mapping[Any, Any], known: Sequence[str]) -> list[str]:
    """Return a sentence for every key that is not known, with the key that was probably meant.

    Args:
        written: What somebody wrote.
        known: Keys that are read.
    """
    return [
        f"there is no key {str(key)!r:.60}: {suggest(str(key), known)}."
        for key in written
        if key not in known
    ]


def suggest(word: str, known: Iterable[str]) -> str:
    """Return "did you mean ...?" in words, or all known words if none is near.

    Args:
        word: As written.
        known: What could have been written.
    """
    choices = sorted(known)
    near = nearest(word, choices)
    return f"perhaps {near!r} is meant" if near else f"choose from {', '.join(choices)}"
