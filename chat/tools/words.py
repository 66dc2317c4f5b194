"""Whether a word that people count by means a thing: "fruits", "red things", "cups"."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lisa.data.categories import asked_categories
from lisa.data.colours import COLOURS, main_colours
from lisa.data.knowledge import load_knowledge
from lisa.data.scene_tags import scene_vocabulary, tags_of_things

_ANYTHING = frozenset("thing object item segment mask element".split())
_LEFT_OUT = frozenset("a an the all any some of other different".split())
_IRREGULAR = {
    "people": "person", "men": "man", "women": "woman", "children": "child", "mice": "mouse",
    "geese": "goose", "feet": "foot", "teeth": "tooth", "oxen": "ox",
}  # fmt: skip
_COLOUR_MARK = re.compile(r" \(colour\)$")


def plain(words: str) -> str:
    """Return words in lower case, without articles and the like before them."""
    rest = words.lower().strip(" .?!").split()
    while rest and rest[0] in _LEFT_OUT:
        rest = rest[1:]
    return " ".join(rest)


def singulars(words: str) -> tuple[str, ...]:
    """Return what the words may be in the singular, the likeliest first, themselves last."""
    *first, last = words.split(" ")
    forms = [_IRREGULAR[last]] if last in _IRREGULAR else []
    if last.endswith("ies") and len(last) > 4:
        forms.append(f"{last[:-3]}y")
    if last.endswith("ves") and len(last) > 4:
        forms += [f"{last[:-3]}f", f"{last[:-3]}fe"]
    if last.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        forms.append(last[:-2])
    if last.endswith("s") and not last.endswith("ss") and len(last) > 2:
        forms.append(last[:-1])
    return tuple(" ".join((*first, form)) for form in (*forms, last))


def plain_colour(tag: str) -> str:
    """Return a tag that names a colour as people say it: "orange (colour)" is "orange"."""
    return _COLOUR_MARK.sub("", tag)


def kinds_of(
    what: str | None, pixels: NDArray[np.uint8], mask: NDArray[np.bool_]
) -> frozenset[str]:
    """Return all words that may be said of a thing: its names, its kinds, its colours.

    Args:
        what: What it is; None if nobody knows.
        pixels: uint8 (H, W, 3), its picture in RGB.
        mask: bool (H, W).
    """
    if what is None:
        return frozenset(main_colours(pixels[mask]))
    name = _known_names().get(plain(what))
    if name is None:
        words = {plain(what), *main_colours(pixels[mask])}
    else:
        (tags,) = tags_of_things(load_knowledge(), [name], pixels, [mask])
        # What was never trained on has no name among its tags.
        words = {plain(what), *map(plain_colour, tags), *_asked_words(name)}
    return frozenset(words | {_head(one, name) for one in words})


def means(words: str, kinds: frozenset[str]) -> bool:
    """Tell whether words mean a thing of which all `kinds` can be said; in any number."""
    wanted = plain(words)
    forms = singulars(wanted)
    if any(form in kinds or form in _ANYTHING for form in forms):
        return True
    before, _, last = wanted.partition(" ")
    # "red fruits": each word has to hold.
    return bool(last) and before in kinds and means(last, kinds)


def is_kind(words: str) -> bool:
    """Tell whether words name a kind of things or a colour, rather than a thing."""
    wanted = plain(words)
    return any(form in _kind_words() for form in singulars(wanted)) or wanted in COLOURS


def _head(words: str, name: str | None) -> str:
    """Return the last word, which is what a thing is as well, unless the table knows better.

    A pepper mill is a mill; of a rubber duck and a sea lion the table says that the one may be
    called a duck, and the other no lion.
    """
    last = words.split(" ")[-1]
    return words if name is not None and last in load_knowledge().objects else last


@cache
def _asked_words(name: str) -> frozenset[str]:
    """Return how questions call the kinds of a thing of the table: "pieces of clothing"."""
    own = load_knowledge()[name].category
    kinds = [one for one in asked_categories() if own in one.surely]
    return frozenset(word for one in kinds for word in (one.noun, one.plural) if word)


@cache
def _known_names() -> dict[str, str]:
    """Return the names of the table by what they are called in a sentence."""
    return {plain(item.label): item.name for item in load_knowledge().objects.values()}


@cache
def _kind_words() -> frozenset[str]:
    kinds = [tag.name for tag in scene_vocabulary(load_knowledge()) if tag.category == "kind"]
    kinds += [word for one in asked_categories() for word in (one.noun, one.plural) if word]
    return frozenset([*kinds, *(kind.split(" ")[-1] for kind in kinds), *_ANYTHING])
