"""Shortens a conversation that has outgrown the model: the oldest questions go first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from lisa.errors import PromptError
from lisa.types import Conversation, ImagePart, ImageSize, Message

if TYPE_CHECKING:
    from lisa.pipeline import LisaPipeline

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


def readable(
    pipeline: LisaPipeline, size: ImageSize, conversation: Conversation, max_new_tokens: int
) -> Conversation:
    """Return as much of a conversation's end as a model can read and answer.

    Args:
        pipeline: Of the model.
        size: Of the picture that the conversation shows.
        conversation: As `fitting` takes it.
        max_new_tokens: Room for an answer; a quarter of the context at most is kept free.
    """
    context = pipeline.processor.settings.context_length
    room = context - min(max_new_tokens, context // 4)

    def fits(shorter: Conversation) -> bool:
        try:
            return pipeline.prompt_length(shorter, size) <= room
        except PromptError:
            return False  # longer than everything that the model can read

    return fitting(conversation, fits)


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
