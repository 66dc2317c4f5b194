"""LISA++'s texts, in which marks point at instances, as texts with control tokens.

Marks occur in these forms; the number names an instance of the picture:

    a man《123|person》waits            a man <123|person> waits
    [《123|person》《124|person》]        [<123|person>, <124|person>]       [man <123>, man <124>]

Every mark becomes a control token, apart from the word before it by a blank, and brackets around
marks go. A mark whose number the record does not explain goes as well: answers were written by a
language model, which made some numbers up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container

from lisa.tokens import SEG_TOKEN

_MARK = r"《\s*(\d+)\s*\|([^》]*)》|<\s*(\d+)\s*\|([^<>]*)>"
# A number alone is a mark only in a list: elsewhere "<3>" may be words.
_MARK_IN_LIST = re.compile(_MARK + r"|<\s*(\d+)\s*>")
_MARK_OR_LIST = re.compile(_MARK + r"|\[([^\[\]]*)\]")
_COMMAS = re.compile(r"(?:\s*,)+\s*")
_BLANKS = re.compile(r"[ \t]+(?=[.,;:!?])|(?<=[ \t])[ \t]+")
_STUCK = re.compile(r"(?<=[^\s(\"'“‘])(?=" + re.escape(SEG_TOKEN) + ")")


def point(text: str, known: Container[str]) -> tuple[str, tuple[str, ...]]:
    """Turn the marks of an answer into control tokens.

    Args:
        text: Of the answer.
        known: The instances that have a region.

    Returns:
        The text, and the instances that its tokens point at, in reading order.
    """
    instances: list[str] = []

    def token(number: str, name: str) -> str:
        if number not in known:
            return ""
        instances.append(number)
        return SEG_TOKEN

    return _replace(text, token), tuple(instances)


def plain(text: str) -> str:
    """Turn the marks of a question into the names that they carry."""
    return _replace(text, lambda number, name: name.strip())


def _replace(text: str, replacement: Callable[[str, str], str]) -> str:
    def replace_mark(match: re.Match[str]) -> str:
        groups = [group for group in match.groups() if group is not None]
        return replacement(groups[0], groups[1] if groups[1:] else "")

    def replace_any(match: re.Match[str]) -> str:
        listed = match.group(5)
        if listed is None:
            return replace_mark(match)
        if not _MARK_IN_LIST.search(listed):
            return match.group()
        return _COMMAS.sub(", ", _MARK_IN_LIST.sub(replace_mark, listed)).strip(", ")

    replaced = _MARK_OR_LIST.sub(replace_any, text)
    return _BLANKS.sub("", _STUCK.sub(" ", replaced)).strip()
