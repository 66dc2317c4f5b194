"""What tools found, in the words in which a language model reads it.

`lisa-nano` is trained on exactly these words, so the generator of its dialogues and the tools write
them here. Every segment is called by its name and what it shows, such as "#2 cup".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NOTHING = "nothing"


class RelationWords(NamedTuple):
    """A relation, each thing by its label."""

    subject: str
    predicate: str
    object: str


def label(name: str, what: str | None) -> str:
    """Return how a segment is called: "#2 cup", or "#2" if nobody knows what it shows.

    What is absent has no name, only words: "zebra".
    """
    return " ".join(part for part in (name, what) if part)


def note(labels: Sequence[str]) -> str:
    """Return what stands before a question: the segments that have come since the last one.

    Args:
        labels: Of segments that an answer or a person has pointed at; tools name theirs themselves.
    """
    return f"({', '.join(labels)})\n" if labels else ""


def say_tags(things: Sequence[str], others: Sequence[str] = ()) -> str:
    """Say what a picture shows: its things, and other tags such as colours."""
    text = f"things: {', '.join(things) or NOTHING}"
    return f"{text}; also: {', '.join(others)}" if others else text


def say_caption(text: str) -> str:
    """Say what a caption says, or that nothing was found that one could describe."""
    return text or NOTHING


def say_masks(names: Sequence[str]) -> str:
    """Say which masks were found."""
    return f"{len(names)} masks: {', '.join(names)}" if names else "0 masks"


def say_relations(relations: Sequence[RelationWords]) -> str:
    """Say how things relate."""
    return "; ".join(" ".join(one) for one in relations) or NOTHING


def say_region(label: str, colours: Sequence[str], place: str, share: float) -> str:
    """Say what a segment shows and where; `share` of the picture in [0, 1]."""
    colour = f"{' and '.join(colours)}, " if colours else ""
    return f"{label}: {colour}{place}, {percent(share)} of the picture"


def say_area(label: str, share: float, pixels: int) -> str:
    """Say how large a segment is."""
    return f"{label}: {percent(share)} of the picture, {pixels} pixels"


def say_overlap(first: str, second: str, pixels: int) -> str:
    """Say how many pixels two segments have in common."""
    return f"{first} and {second} share {pixels} pixels"


def say_distance(first: str, second: str, pixels: int) -> str:
    """Say how far two segments are from each other, border to border."""
    return f"{first} and {second} are {pixels} pixels apart"


def say_count(labels: Sequence[str]) -> str:
    """Say how many things there are, and which."""
    return f"{len(labels)}: {', '.join(labels)}" if labels else "0"


def say_crop(label: str, picture: int) -> str:
    """Say which picture shows a segment up close; people count pictures from 1."""
    return f"picture {picture} shows {label}"


def say_edit(name: str, label: str, change: str, share: float) -> str:
    """Say what became of a segment, such as "#5 is #1 cup made bigger, 12.0 % of the picture"."""
    return f"{name} is {label} made {change}, {percent(share)} of the picture"


def say_error(message: str) -> str:
    """Say why a tool could not answer."""
    return f"error: {message}"


def percent(share: float) -> str:
    """Return a share in [0, 1] as people write it."""
    return f"{100 * share:.1f} %"


def place_of(mask: NDArray[np.bool_]) -> str:
    """Return where a mask lies: "in the upper left", "on the right", "in the middle" and so on.

    Args:
        mask: bool (H, W) with a pixel; thirds of the picture decide, by the mask's centre.
    """
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    row = min(2, int(3 * rows.mean() / height))
    column = min(2, int(3 * columns.mean() / width))
    side = ("left", "", "right")[column]
    if row == 1:
        return f"on the {side}" if side else "in the middle"
    level = ("upper", "", "lower")[row]
    return f"in the {level} {side}" if side else ("at the top", "", "at the bottom")[row]
