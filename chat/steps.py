"""What happens in a turn, as data. Every face of the assistant only renders these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from chat.state import SessionSegment

Ending: TypeAlias = Literal["done", "length", "steps", "time"]
"""Why a turn ended: all was said; the answer was too long; too many steps or too much time."""


@dataclass(frozen=True)
class Thought:
    """Words that are about the work, not the answer.

    Attributes:
        text: Plain text.
    """

    text: str


@dataclass(frozen=True)
class ToolCalled:
    """A tool begins to work.

    Attributes:
        call_id: Of this call, unique in its session.
        tool: Name of the tool.
        arguments: As the model wrote them, by name; JSON values.
    """

    call_id: str
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Observed:
    """What a tool answered.

    Attributes:
        call_id: Of the call.
        text: What the model reads of it.
        data: The whole result as JSON values; masks stand in `segments` only, by name.
        segments: What it found or made, already part of the session.
        is_error: Whether the tool could not answer; `text` says why.
        seconds: How long it took.
    """

    call_id: str
    text: str
    data: Mapping[str, Any]
    segments: tuple[SessionSegment, ...] = ()
    is_error: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class TextAdded:
    """More of the answer.

    Attributes:
        text: What comes behind the earlier ones of the turn.
    """

    text: str


@dataclass(frozen=True, eq=False)
class SegmentAdded:
    """The answer points at something.

    Attributes:
        segment: With its mask; "absent" ones too, which have none.
    """

    segment: SessionSegment


@dataclass(frozen=True, eq=False)
class Answered:
    """The last step of every turn that was not cancelled.

    Attributes:
        text: The whole answer, with its `[SEG]` tokens.
        segments: What the answer itself points at, in the order of the text.
        ending: Why the turn ended.
    """

    text: str
    segments: tuple[SessionSegment, ...]
    ending: Ending = "done"


Step: TypeAlias = Thought | ToolCalled | Observed | TextAdded | SegmentAdded | Answered
