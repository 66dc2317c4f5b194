"""Single tools as plain requests: segments, tags and relations of one picture."""

from __future__ import annotations

from typing import Annotated, Any, Self, TypeAlias

from fastapi import APIRouter, Request
from pydantic import Field, model_validator

from chat.cancellation import Cancellation
from chat.server.assistant import Assistant
from chat.server.bodies import (
    MAX_NAME_CHARACTERS,
    MAX_URL_CHARACTERS,
    Body,
    SegmentBody,
    refusals,
)
from chat.server.desk import Desk
from chat.steps import Observed

PictureSource: TypeAlias = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL_CHARACTERS,
        description="data:image/png;base64,...; a web address only if the server allows it.",
    ),
]
Words: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)]
Box: TypeAlias = Annotated[
    list[float], Field(min_length=4, max_length=4, description="[x0, y0, x1, y1] in pixels.")
]
Point: TypeAlias = Annotated[
    list[float], Field(min_length=2, max_length=2, description="[x, y] in pixels.")
]


class SegmentRequest(Body):
    """A picture and what to find in it: exactly one of text, points and boxes."""

    image: PictureSource
    text: Annotated[Words | None, Field(description='Words, or a question that ends in "?".')] = (
        None
    )
    points: Annotated[
        list[Point] | None, Field(min_length=1, max_length=16, description="All on one thing.")
    ] = None
    boxes: Annotated[
        list[Box] | None, Field(min_length=1, max_length=16, description="Each around one thing.")
    ] = None

    @model_validator(mode="after")
    def _one_prompt(self) -> Self:
        given = [one for one in (self.text, self.points, self.boxes) if one is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of text, points and boxes, not {len(given)}")
        return self

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Arguments for the tool, once for each prompt."""
        if self.boxes is not None:
            return [{"box": box} for box in self.boxes]
        return [{"text": self.text} if self.text is not None else {"points": self.points}]


class SegmentAnswer(Body):
    """What was found: of a text any number of segments, else one for each prompt, in its order."""

    segments: list[SegmentBody]


class TagRequest(Body):
    """A picture."""

    image: PictureSource


class TagBody(Body):
    """A word for something in the picture."""

    name: str
    probability: Annotated[float, Field(ge=0, le=1)]
    threshold: Annotated[float, Field(description="What the probability exceeds.")]
    category: Annotated[
        str | None, Field(description='"object", "attribute" and so on, if known.')
    ] = None
    chinese: str | None = None


class TagAnswer(Body):
    """Tags, the surest first."""

    tags: list[TagBody]


class RelationRequest(Body):
    """A picture, and which relations are wanted; the surest of all, if nothing is said."""

    image: PictureSource
    subject: Annotated[Words | None, Field(description="What relates, in words.")] = None
    relation: Annotated[Words | None, Field(description='Such as "left of".')] = None
    object: Annotated[Words | None, Field(description="What it relates to, in words.")] = None


class RelationBody(Body):
    """How two things relate."""

    subject: Annotated[str, Field(description="Name of a segment.")]
    predicate: str
    object: Annotated[str, Field(description="Name of a segment.")]
    score: Annotated[float, Field(ge=0, le=1)]


class RelationAnswer(Body):
    """Relations, the surest first, and the things that they are between."""

    relations: list[RelationBody]
    segments: list[SegmentBody]


def tools_router(assistant: Assistant, desk: Desk) -> APIRouter:
    """Return the routes of single tools.

    Args:
        assistant: Uses them.
        desk: Lets requests wait their turn.
    """
    router = APIRouter()

    async def use(
        request: Request, tool: str, image: str, calls: list[dict[str, Any]]
    ) -> list[Observed]:
        def work(cancellation: Cancellation) -> list[Observed]:
            return assistant.use(tool, image, calls, cancellation)

        return await desk.result(desk.start(work), request.receive)

    @router.post("/v1/segment", responses=refusals(404))
    async def segment(request: Request, body: SegmentRequest) -> SegmentAnswer:
        """Find what words describe, or the things at points or in boxes."""
        found = await use(request, "segment", body.image, body.calls)
        known = {one.name: one for call in found for one in call.segments}
        names = [name for call in found for name in call.data["segments"]]
        return SegmentAnswer(segments=[SegmentBody.of(known[name]) for name in names])

    @router.post("/v1/tags", responses=refusals(404))
    async def tags(request: Request, body: TagRequest) -> TagAnswer:
        """Say in single words what a picture shows."""
        (found,) = await use(request, "tag", body.image, [{}])
        return TagAnswer.model_validate(found.data)

    @router.post("/v1/relations", responses=refusals(404))
    async def relations(request: Request, body: RelationRequest) -> RelationAnswer:
        """Say how the things of a picture relate."""
        arguments = body.model_dump(include={"subject", "relation", "object"}, exclude_none=True)
        (found,) = await use(request, "relate", body.image, [arguments])
        segments = [SegmentBody.of(one) for one in found.segments]
        return RelationAnswer.model_validate({**found.data, "segments": segments})

    return router
