"""The article "a" or "an", as the word behind it asks for."""

from __future__ import annotations

import re
from functools import cache

from lisa.data.knowledge import load_knowledge

_ARTICLE = re.compile(r"\b([Aa])n? (?=([\w-]+))")
_VOWELS = "aeiou"


def with_agreeing_articles(text: str) -> str:
    """Return a sentence in which "a" and "an" suit what follows: a small model mixes them up.

    Names of the knowledge table say their own article ("a unicorn"); of any other word the first
    letter decides.
    """
    return _ARTICLE.sub(_agreeing, text)


def _agreeing(found: re.Match[str]) -> str:
    letter, word = found[1], found[2].lower()
    usual = "an" if word[0] in _VOWELS else "a"
    return f"{letter}{_known_articles().get(word, usual)[1:]} "


@cache
def _known_articles() -> dict[str, str]:
    """Return the articles of things by the first word of their names."""
    return {
        item.label.split()[0].lower(): item.article
        for item in load_knowledge().objects.values()
        if item.article in ("a", "an")
    }
