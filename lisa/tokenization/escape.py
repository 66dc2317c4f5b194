"""Keeps what a user writes from being read as a control token."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from lisa.types import Conversation, Message, TextPart


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


def escape_conversation(conversation: Conversation, control_tokens: Iterable[str]) -> Conversation:
    """Breaks control tokens in all messages but the assistant's, which keeps its own."""
    tokens = tuple(control_tokens)

    def escaped(message: Message) -> Message:
        if message.role == "assistant":
            return message
        parts = tuple(
            TextPart(escape_control_tokens(part.text, tokens))
            if isinstance(part, TextPart)
            else part
            for part in message.parts
        )
        return replace(message, parts=parts)

    return replace(conversation, messages=tuple(map(escaped, conversation.messages)))


def _break(found: re.Match[str]) -> str:
    token = found[0]
    return " " if len(token) == 1 else f"{token[0]} {token[1:]}"
