"""Shortens a conversation that has outgrown the model: the oldest questions go first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lisa.types import Conversation, ImagePart, Message

AT_ONCE = 8
"""Questions that are forgotten together: what is left has to be read anew, so it happens rarely."""


def fitting(conversation: Conversation, fits: Callable[[Conversation], bool]) -> Conversation:
    """Return the conversation, or as much of its end as fits.

    Whole questions go, with all that was called and answered. The first one left shows the picture.
    The same conversation always gets the same beginning, however it goes on, until the next few
    questions have to go.

    Args:
        conversation: Ends with a question, or with what a tool answered to it.
        fits: Tells whether the model can read a conversation and answer it.

    Returns:
        At least the last question, even if that is too long.
    """
    asked = [i for i, message in enumerate(conversation.messages) if message.role == "user"]
    shorter = conversation
    for gone in range(AT_ONCE, len(asked) + AT_ONCE, AT_ONCE):
        if fits(shorter):
            break
        shorter = _without(conversation, asked[min(gone, len(asked) - 1)] if asked else 0)
    return shorter


def _without(conversation: Conversation, before: int) -> Conversation:
    """Return a conversation without the messages before one, whose picture that one shows now."""
    messages = conversation.messages
    shown = [p for m in messages[:before] for p in m.parts if isinstance(p, ImagePart)][-1:]
    system = [message for message in messages[:before] if message.role == "system"]
    first = messages[before]
    shows_one = any(isinstance(part, ImagePart) for part in first.parts)
    if not shows_one:
        first = Message(first.role, (*shown, *first.parts))
    return replace(conversation, messages=(*system, first, *messages[before + 1 :]))
