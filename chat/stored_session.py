"""What session.json holds, checked field by field when it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from chat.state import SessionSegment
from chat.steps import Answered, Ending, Observed, SegmentAdded, Step, Thought, ToolCalled
from lisa.types import Role, SegmentStatus

Place = Annotated[int, Field(ge=0)]
"""Of a segment in `StoredSession.segments`, from 0."""
Number = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^(?:#[1-9]\d{0,5})?$")]


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class StoredPicture(_Stored):
    """A picture; its pixels are in a file beside."""

    number: Number
    name: str
    file: str


class StoredSegment(_Stored):
    """A segment; `mask` is a file beside, None where the mask has no pixels."""

    name: Name
    what: str | None
    picture: Number
    origin: str
    status: SegmentStatus
    score: Annotated[float, Field(ge=0, le=1)]
    phrase: str | None
    text_span: tuple[int, int]
    mask: str | None


class StoredMessage(_Stored):
    """A message of a conversation, which shows its one picture or not."""

    role: Role
    text: str
    shows_picture: bool


class StoredThought(_Stored):
    """As `Thought`."""

    type: Literal["thought"] = "thought"
    text: str


class StoredCall(_Stored):
    """As `ToolCalled`."""

    type: Literal["tool_call"] = "tool_call"
    call_id: str
    tool: str
    arguments: dict[str, Any]


class StoredObservation(_Stored):
    """As `Observed`."""

    type: Literal["observation"] = "observation"
    call_id: str
    text: str
    data: dict[str, Any]
    segments: list[Place]
    is_error: bool
    seconds: float


class StoredPointing(_Stored):
    """As `SegmentAdded`."""

    type: Literal["segment"] = "segment"
    segment: Place


class StoredAnswer(_Stored):
    """As `Answered`."""

    type: Literal["answer"] = "answer"
    text: str
    segments: list[Place]
    ending: Ending


StoredStep: TypeAlias = Annotated[
    StoredThought | StoredCall | StoredObservation | StoredPointing | StoredAnswer,
    Field(discriminator="type"),
]


class StoredTurn(_Stored):
    """As `Turn`."""

    question: str
    picture: Number
    steps: Annotated[list[StoredStep], Field(min_length=1)]
    pointed: list[Place]
    conversation: list[StoredMessage]
    segments: list[Place]
    pictures: list[Number]
    told: list[Name]
    learnt: list[Place]


class StoredSession(_Stored):
    """A session."""

    version: Literal[1] = 1
    picture: Annotated[int, Field(ge=0)]
    pictures: list[StoredPicture]
    segments: list[StoredSegment]
    named: list[Place]
    turns: list[StoredTurn]
    pointed: list[Name]


def write_step(step: Step, places: Callable[[Iterable[SessionSegment]], list[int]]) -> StoredStep:
    """Return a step as session.json holds it.

    Args:
        step: Of a turn; turns keep no `TextAdded`.
        places: Returns the places of segments.
    """
    match step:
        case Thought():
            return StoredThought(text=step.text)
        case ToolCalled():
            return StoredCall(call_id=step.call_id, tool=step.tool, arguments=dict(step.arguments))
        case Observed():
            return StoredObservation(
                call_id=step.call_id,
                text=step.text,
                data=dict(step.data),
                segments=places(step.segments),
                is_error=step.is_error,
                seconds=step.seconds,
            )
        case SegmentAdded():
            return StoredPointing(segment=places([step.segment])[0])
        case Answered():
            return StoredAnswer(text=step.text, segments=places(step.segments), ending=step.ending)
    raise TypeError(f"a turn does not keep {type(step).__name__}")


def read_step(
    stored: StoredStep, at: Callable[[Iterable[int]], tuple[SessionSegment, ...]]
) -> Step:
    """Return a step that session.json holds.

    Args:
        stored: As `write_step` wrote it.
        at: Returns the segments at places; IndexError if there are none.
    """
    match stored:
        case StoredThought():
            return Thought(stored.text)
        case StoredCall():
            return ToolCalled(stored.call_id, stored.tool, stored.arguments)
        case StoredObservation():
            return Observed(
                stored.call_id,
                stored.text,
                stored.data,
                at(stored.segments),
                stored.is_error,
                stored.seconds,
            )
        case StoredPointing():
            return SegmentAdded(at([stored.segment])[0])
        case StoredAnswer():
            return Answered(stored.text, at(stored.segments), stored.ending)
