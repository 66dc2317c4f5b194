"""Keeps what a user writes from being read as a control token."""

from __future__ import annotations

import re
from collections.abc import Iterable


def escape_control_tokens(text: str, control_tokens: Iterable[str]) -> str:
    """Breaks every control token in a user's text with one blank, so that it stays plain text.

    "type [SEG]" becomes "type [ SEG]": readable for people and models, and never a control id.
    Text without control tokens comes back unchanged.

    Args:
        text: What a user wrote.
        control_tokens: Strings to break, for instance `TextTokenizer.control_tokens`.
    """
    tokens = sorted({token for token in control_tokens if token}, key=len, reverse=True)
    if not tokens:
        return text
    pattern = re.compile("|".join(map(re.escape, tokens)))
    while True:
        # Tokens may overlap ("ab" and "ba" in "aba"), so one pass can leave one behind.
        # A pass only ever puts blanks inside tokens, hence the loop ends.
        escaped = pattern.sub(_break, text)
        if escaped == text:
            return text
        text = escaped


def _break(found: re.Match[str]) -> str:
    token = found[0]
    return " " if len(token) == 1 else f"{token[0]} {token[1:]}"
