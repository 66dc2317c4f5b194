"""A few questions of each group, evenly spread over all of them and always the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from eval.benchmarks.lazy_pictures import LazyPictures
from eval.questions import Picture
from lisa.data.spread import spread
from lisa.errors import LisaError


def limited(pictures: Sequence[Picture], limit: int | None) -> Sequence[Picture]:
    """Keep at most `limit` questions of each group; None keeps all.

    Pictures are read once to count, but not opened. Those whose records are damaged are kept, so
    that they are told.
    """
    if limit is None:
        return pictures
    groups: dict[str, list[tuple[int, str]]] = {}
    damaged = []
    for index in range(len(pictures)):
        try:
            picture = pictures[index]
        except LisaError:
            damaged.append(index)
            continue
        for question in picture.questions:
            groups.setdefault(question.group, []).append((index, question.key))
    kept: dict[int, set[str]] = {index: set() for index in damaged}
    for asked in groups.values():
        for number in spread(len(asked), limit):
            index, key = asked[number]
            kept.setdefault(index, set()).add(key)
    chosen = sorted(kept.items())

    def read(number: int) -> Picture:
        index, keys = chosen[number]
        picture: Any = pictures[index]  # every kind of picture is a frozen dataclass
        questions = tuple(one for one in picture.questions if one.key in keys)
        few: Picture = replace(picture, questions=questions)
        return few

    def place(number: int) -> str:
        index = chosen[number][0]
        if isinstance(pictures, LazyPictures):
            return pictures.place(index)
        return pictures[index].key

    return LazyPictures(len(chosen), read, place)
