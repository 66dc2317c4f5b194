"""What could be said of a generated scene in single words: things, their kinds, their colours.

Training and evaluation of the small tagger share this, so that both mean the same by a tag.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from lisa.data.colours import COLOURS, main_colours
from lisa.data.knowledge import Category, Knowledge

_KIND_NAMES: Final[dict[Category, str]] = {
    "household": "household item",
    "instrument": "musical instrument",
    "medical": "medical item",
    "seasonal": "seasonal decoration",
    "space": "celestial body",
    "sport": "sports equipment",
}
_ALSO: Final[dict[Category, tuple[Category, ...]]] = {
    "bird": ("animal",),
    "fish": ("animal",),
    "insect": ("animal",),
    "fruit": ("food",),
    "vegetable": ("food",),
    "flower": ("plant",),
}


@dataclass(frozen=True)
class SceneTag:
    """A word that may be said of a scene.

    Attributes:
        name: The word; different for every tag.
        category: A thing, a kind of things, or how one looks.
    """

    name: str
    category: Literal["object", "kind", "attribute"]


def scene_vocabulary(knowledge: Knowledge) -> tuple[SceneTag, ...]:
    """Returns all tags: the things that training may show, then kinds, then colours."""
    things = [knowledge[name].label for name in knowledge.trained_names]
    kinds = sorted({_kind(item.category) for item in knowledge.objects.values()} - set(things))
    return (
        *(SceneTag(name, "object") for name in things),
        *(SceneTag(name, "kind") for name in kinds),
        *(SceneTag(_colour(name, things), "attribute") for name in COLOURS),
    )


def tags_of_things(
    knowledge: Knowledge,
    names: Iterable[str],
    picture: NDArray[np.uint8],
    masks: Iterable[NDArray[np.bool_]],
) -> list[frozenset[str]]:
    """Returns the tags of each thing of a scene; together they are those of the scene.

    A race car is a car too, and whatever else the table says that it may be called. A thing that
    was never trained on has its kind and colours, but no name.

    Args:
        knowledge: The table.
        names: Of the things.
        picture: uint8 (H, W, 3) in RGB.
        masks: Of the things, bool (H, W) each.
    """
    labels = {name: knowledge[name].label for name in knowledge.trained_names}
    found = []
    for name, mask in zip(names, masks, strict=True):
        item = knowledge[name]
        tags = {labels[one] for one in (name, *item.confused_with) if one in labels}
        tags |= {_kind(one) for one in (item.category, *_ALSO.get(item.category, ()))}
        tags |= {_colour(one, labels.values()) for one in main_colours(picture[mask])}
        found.append(frozenset(tags))
    return found


def _kind(category: Category) -> str:
    return _KIND_NAMES.get(category, category)


def _colour(name: str, things: Iterable[str]) -> str:
    """Returns the word for a colour; "orange" is a fruit as well."""
    return f"{name} (colour)" if name in things else name
