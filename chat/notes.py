"""Which segments a model has to hear of before a question: those that it cannot know yet."""

from __future__ import annotations

import re

from chat.state import SessionSegment, SessionState

_MENTION = re.compile(r"#\d{1,6}(?!\d)")

MOST_NOTED = 24
"""Of more, the newest are named: a note is part of a conversation, whose length is limited."""


def segments_to_note(
    state: SessionState, picture: int, question: str, told: frozenset[str]
) -> tuple[SessionSegment, ...]:
    """Return the segments whose names should stand before a question, oldest first.

    They are those of its picture that the model has not heard of, those that the person has just
    pointed at, and those of other pictures that the question names.

    Args:
        state: Of the session.
        picture: Number of the picture that is asked about.
        question: As it was asked.
        told: Names that the model has heard of in this picture's conversation.
    """
    mentioned = set(_MENTION.findall(question))
    noted = [
        one
        for one in state.segments
        if (one.picture == picture and (one.name not in told or one.name in state.pointed))
        or (one.name in mentioned and one.name not in told)
    ]
    return tuple(noted[-MOST_NOTED:])
