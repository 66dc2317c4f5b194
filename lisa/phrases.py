"""Which words of an answer a `[SEG]` stands for: the noun phrase before it in its clause.

The rules are few and plain: take the words between the last clause border (punctuation or an
earlier mask token) and the token; cut them behind the last verb or linking word; drop articles and
prepositions in front. "It is the alarm clock [SEG]." gives "alarm clock", "Sure, [SEG]." gives
nothing. "in the picture" at the end says nothing about the thing.
"""

from __future__ import annotations

import re

# What can stand before a noun phrase without belonging to it. Prepositions are not here: "the cup
# on the table" # is one phrase.
_LINKS = frozenset(
    """is are was were be been being am isn't aren't looks look seems means has have had
    shows show see sees segment segmented points point call called named choose use uses using
    and or but so then because since that which who it's that's here's there's""".split()
)
# What a phrase does not begin with.
_OPENERS = frozenset(
    """a an the this that these those your its their his her some no any
    in on at by of to for with""".split()
)
# Words that make no phrase on their own: what an answer says around a mask.
_EMPTY = frozenset(
    """sure yes no okay ok it they them he she here there this that these those of course result
    results segmentation mask masks image picture one ones i you we certainly absolutely
    answer""".split()
)
# Where everything is that an answer speaks of: "there is no zebra in the picture".
_PLACES = [["in", "the", what] for what in ("picture", "image", "photo", "photograph")]
_BORDER = re.compile(r"[.,;:!?()\"“”\n\[\]]+")
_WORD = re.compile(r"[^\s]+")


def phrase_before(text: str, position: int) -> str | None:
    """Return the phrase that a mask token stands for.

    Args:
        text: The answer.
        position: Where the token begins in it.

    Returns:
        The words as written, or None if no noun phrase stands right before the token.
    """
    clause = _BORDER.split(text[:position])[-1]
    words = _WORD.findall(clause)
    for index in range(len(words) - 1, -1, -1):
        if words[index].lower() in _LINKS:
            # A phrase may stand before its verb ("The cup is [SEG]"); then it is what is meant.
            words = words[index + 1 :] or _subject(words[:index])
            break
    return _trimmed(words)


def _subject(words: list[str]) -> list[str]:
    for index in range(len(words) - 1, -1, -1):
        if words[index].lower() in _LINKS:
            return words[index + 1 :]
    return words


def _trimmed(words: list[str]) -> str | None:
    if [word.lower() for word in words[-3:]] in _PLACES:
        words = words[:-3]
    while words and words[0].lower() in _OPENERS:
        words = words[1:]
    if all(word.lower() in _EMPTY for word in words):
        return None
    return " ".join(words)
