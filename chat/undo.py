"""Takes the last turn back."""

from __future__ import annotations

from chat.state import SessionState


def without_last_turn(state: SessionState) -> SessionState:
    """Return a session as if its last turn had not been.

    The segments and pictures that came with the turn go, and segments that got their words in it
    lose them. What the person has added since then stays, unless it lies on a picture that goes.

    Args:
        state: With a turn.
    """
    turn = state.turns[-1]
    gone = {segment.name for segment in turn.segments}
    before = {segment.name: segment for segment in turn.learnt}
    segments = tuple(
        before.get(one.name, one)
        for one in state.segments
        if one.name not in gone and one.picture not in turn.pictures
    )
    names = {segment.name for segment in segments}
    return SessionState(
        tuple(one for one in state.pictures if one.number not in turn.pictures),
        segments,
        state.turns[:-1],
        turn.picture if state.picture in turn.pictures else state.picture,
        tuple(name for name in state.pointed if name in names),
    )
