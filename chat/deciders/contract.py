"""What decides the next step of a turn: to call a tool, or to say the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from chat.cancellation import Cancellation
from chat.state import SessionPicture, SessionSegment
from chat.steps import Ending
from chat.tools.contract import AnyTool
from lisa.tool_calls import ToolCall
from lisa.types import Conversation, Segment


@dataclass(frozen=True, eq=False)
class TurnView:
    """A turn as far as it has come.

    Attributes:
        picture: The picture that is asked about.
        conversation: About this picture, this turn's question, calls and observations included. It
            names no tools: which ones a model is told of is the decider's business.
        tools: All that could be called.
        may_call: False once the step limit is reached: what is decided then should be an answer.
        segments: All that have names, of all pictures.
        cancellation: Tells when to stop.
        max_new_tokens: Most tokens of what is said or called.
    """

    picture: SessionPicture
    conversation: Conversation
    tools: tuple[AnyTool, ...]
    may_call: bool
    segments: tuple[SessionSegment, ...]
    cancellation: Cancellation
    max_new_tokens: int


@dataclass(frozen=True)
class Call:
    """A tool shall work.

    Attributes:
        call: Its name and arguments, not checked yet.
        text: What was written, for the conversation; it ends with the call.
        said: The part before the call that was said to the person; it belongs to the answer.
    """

    call: ToolCall
    text: str
    said: str = ""


@dataclass(frozen=True)
class Misread:
    """A call was written that nobody can read.

    Attributes:
        text: What was written, for the conversation.
        reason: What is wrong with it, for the model to read.
        said: As in `Call`.
    """

    text: str
    reason: str
    said: str = ""


@dataclass(frozen=True, eq=False)
class Say:
    """The answer.

    Attributes:
        text: All of it, with its `[SEG]` tokens.
        segments: One per `[SEG]`, in the order of the text, as the model drew them.
        ending: "done", or "length" or "time" if it was cut off.
    """

    text: str
    segments: tuple[Segment, ...] = ()
    ending: Ending = "done"


Decision: TypeAlias = Call | Misread | Say


class Decider(Protocol):
    """Chooses the next step of a turn."""

    def next(self, view: TurnView, say: Callable[[str], None]) -> Decision:
        """Decide.

        Args:
            view: The turn so far.
            say: Takes pieces of the answer as they come, each at once and once. What it took is
                the beginning of `Say.text`, or `said` of a call.

        Raises:
            LisaError: If the question cannot be put to the model; the turn ends then.
        """


@runtime_checkable
class ReadsAhead(Protocol):
    """A decider that can use the time until the next question."""

    def read_ahead(self, view: TurnView) -> None:
        """Read what is known of the next turn already.

        Args:
            view: Its conversation ends with the beginning of a question.

        Raises:
            LisaError: If it cannot be put to the model.
        """
