"""What clients get: chat completions with segments and steps, whole or in chunks."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from chat.server.bodies import Body, SegmentBody, Sparse, StepBody, UsageBody
from chat.steps import Ending

FinishReason: TypeAlias = Literal["stop", "length"]


class AnswerMessage(Body):
    """An answer; it may be sent back as it is, as a message of the next request."""

    role: Literal["assistant"] = "assistant"
    content: str
    segments: Annotated[
        list[SegmentBody], Field(description="What the answer and its tools point at.")
    ]
    steps: list[StepBody]
    ending: Annotated[Ending, Field(description="Why the answer ended, in more detail.")]


class Choice(Body):
    """The only answer."""

    index: Literal[0] = 0
    message: AnswerMessage
    finish_reason: FinishReason
    logprobs: None = None


class Completion(Body):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: Annotated[int, Field(description="Seconds since 1970.")]
    model: str
    choices: list[Choice]
    usage: UsageBody
    warnings: Annotated[list[str], Field(description="What was asked for and has no effect.")]


class Delta(Sparse):
    """What is new; only the fields that are."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    segments: Annotated[list[SegmentBody] | None, Field(description="Those that are new.")] = None
    steps: Annotated[list[StepBody] | None, Field(description="Those that are new.")] = None
    ending: Ending | None = None


class ChunkChoice(Body):
    """The only answer, as it grows."""

    index: Literal[0] = 0
    delta: Delta
    finish_reason: FinishReason | None = None


class Chunk(Body):
    """A piece of a streamed answer."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: UsageBody | None = None
    warnings: list[str] | None = None


class ModelBody(Body):
    """A model that this server has."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "lisa"


class ModelList(Body):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[ModelBody]


def finish_reason(ending: Ending) -> FinishReason:
    """Return in OpenAI's words why a turn ended."""
    return "stop" if ending == "done" else "length"
