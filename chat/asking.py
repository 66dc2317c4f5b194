"""A question about a picture, from one state of a session to the next."""

from __future__ import annotations

from collections.abc import Callable

from chat.agent import Outcome
from chat.draft import Draft
from chat.notes import segments_to_note
from chat.state import SessionPicture, SessionState, Turn
from lisa.observations import note
from lisa.types import Conversation


def conversation_with(
    state: SessionState, picture: int, question: str
) -> tuple[Conversation, frozenset[str]]:
    """Return what the model reads when a question is asked.

    Args:
        state: Of the session.
        picture: Number of the picture that is asked about.
        question: As it was asked.

    Returns:
        The conversation about the picture, which ends with the question behind a note of what the
        model cannot know yet; and the names of all segments that it has heard of then.
    """
    last = state.last_turn(picture)
    before, told = (Conversation(), frozenset()) if last is None else (last.conversation, last.told)
    noted = segments_to_note(state, picture, question, told)
    asked = note([segment.label for segment in noted]) + question
    return (
        before.ask(asked, image_index=None if before.messages else 0),
        told | {segment.name for segment in noted},
    )


def answer_question(
    state: SessionState,
    draft: Draft,
    picture: SessionPicture,
    question: str,
    run: Callable[[SessionPicture, Conversation], Outcome],
) -> SessionState:
    """Return the session with one more turn.

    Args:
        state: Before it.
        draft: Takes what the turn finds.
        picture: That is asked about.
        question: As it was asked.
        run: Answers the question that a conversation ends with.

    Raises:
        LisaError: What `run` raises.
    """
    conversation, told = conversation_with(state, picture.number, question)
    outcome = run(picture, conversation)
    pointed = tuple(
        one for one in state.segments if one.name in state.pointed and one.picture == picture.number
    )
    # Something that an earlier turn found may be pointed at again; it stays that turn's.
    owned = {one.name for turn in state.turns for one in turn.segments}
    turn = Turn(
        question,
        picture.number,
        (*outcome.steps, outcome.answer),
        outcome.answer,
        pointed,
        outcome.conversation,
        (*(one for one in pointed if one.name not in owned), *draft.new_segments),
        tuple(one.number for one in draft.new_pictures),
        told | outcome.told,
        draft.learnt,
    )
    done = {one.name for one in pointed}
    return SessionState(
        draft.pictures,
        draft.segments,
        (*state.turns, turn),
        picture.number,
        tuple(name for name in state.pointed if name not in done),
    )
