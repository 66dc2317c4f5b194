"""Shapes that requests and answers share: pictures, segments, steps."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from chat.describe import describe_segment, describe_step
from chat.server.errors import ErrorBody
from chat.state import SessionSegment
from chat.steps import Observed, Thought, ToolCalled
from lisa.types import SegmentStatus

MAX_NAME_CHARACTERS = 200
MAX_URL_CHARACTERS = 40_000_000


class Body(BaseModel):
    """JSON of a request or an answer: nothing unknown, and no text where a number belongs."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Sparse(Body):
    """JSON without the fields that hold nothing."""

    @model_serializer(mode="wrap")
    def _without_nothing(self, serialize: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        # No return type: with one, the schema would describe it instead of the fields.
        return {name: value for name, value in serialize(self).items() if value is not None}


class Mask(Body):
    """Which pixels, as COCO's compressed run lengths (columns first)."""

    size: Annotated[list[int], Field(min_length=2, max_length=2, description="[height, width]")]
    counts: Annotated[str, Field(max_length=1_000_000, description="Packed run lengths.")]


class SegmentBody(Body):
    """A part of a picture."""

    name: Annotated[
        str,
        Field(
            pattern=r"^(#[1-9][0-9]{0,5})?$",
            description='"#1", "#2" …: what later questions may call it; "" if it shows nothing.',
        ),
    ]
    what: Annotated[
        str | None, Field(max_length=MAX_NAME_CHARACTERS, description="What it shows, if known.")
    ] = None
    label: Annotated[
        str, Field(max_length=MAX_NAME_CHARACTERS, description='Both, such as "#2 cup".')
    ] = ""
    picture: Annotated[
        int, Field(ge=1, le=1000, description="Which picture of the conversation, from 1.")
    ] = 1
    origin: Annotated[
        str, Field(max_length=40, description='"answer", "person" or the name of a tool.')
    ] = "answer"
    status: Annotated[
        SegmentStatus,
        Field(description="'absent': the picture does not show it; 'empty': no pixel was found."),
    ] = "found"
    score: Annotated[float, Field(ge=0, le=1, description="How sure the model is.")] = 1.0
    box: Annotated[
        list[float] | None,
        Field(min_length=4, max_length=4, description="[x0, y0, x1, y1] in pixels."),
    ] = None
    phrase: Annotated[
        str | None, Field(max_length=MAX_NAME_CHARACTERS, description="The answer's words for it.")
    ] = None
    text_span: Annotated[
        list[int],
        Field(
            min_length=2, max_length=2, description="Its characters in the answer, end excluded."
        ),
    ] = [0, 0]
    mask: Annotated[Mask | None, Field(description="None if it is absent, and within steps.")] = (
        None
    )

    @classmethod
    def of(cls, segment: SessionSegment, with_mask: bool = True) -> Self:
        """Return the form of a session's segment."""
        return cls.model_validate(describe_segment(segment, with_mask))


class StepBody(Sparse):
    """Something that the assistant did on the way to its answer."""

    type: Literal["thought", "tool_call", "observation"]
    call_id: str | None = None
    tool: str | None = None
    arguments: dict[str, Any] | None = None
    text: Annotated[str | None, Field(description="A thought, or what the tool found.")] = None
    data: Annotated[dict[str, Any] | None, Field(description="What the tool found.")] = None
    segments: Annotated[
        list[SegmentBody] | None, Field(description="What it found; the masks stand elsewhere.")
    ] = None
    is_error: bool | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, step: Thought | ToolCalled | Observed) -> Self:
        """Return the form of a step of a turn."""
        return cls.model_validate(describe_step(step, with_masks=False))


class UsageBody(Body):
    """How many tokens the model read and wrote, over all steps."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the description of a route says of the ways in which it refuses.

    Args:
        *statuses: Beside those that every route has.
    """
    always = (400, 401, 408, 413, 415, 421, 429, 431, 500, 503)
    return {status: {"model": ErrorBody} for status in sorted({*always, *statuses})}
