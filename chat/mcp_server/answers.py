"""What a call answers: words, structured content, and pictures when somebody wants to see them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PIL import Image

from chat.describe import describe_picture, describe_segment
from chat.state import SessionPicture, SessionSegment
from lisa.visualize import draw_segments

if TYPE_CHECKING:
    from mcp_types import CallToolResult

MAX_PICTURE_BYTES = 600_000
"""Of all PNG files of one answer. The SDK's client takes no event above 1 MiB, and base64 adds a
third to this, run lengths and words the rest."""

MAX_OVERLAYS = 4
_OVERLAY_SHARE = 2 / 3
_OVERLAY_SIDE = 1568
"""Longer side of a picture that is sent to be looked at, in pixels; less if its file is large."""

_LISTED = 20

OUTPUT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "description": "The answer in words."},
        "session": {
            "type": ["string", "null"],
            "description": "Give this with later calls; null where the connection is the session.",
        },
        "picture": {"type": "integer", "description": "Number of the picture, from 1."},
        "data": {"type": "object", "description": "The whole result."},
        "segments": {
            "type": "array",
            "description": "Found or shown: name (#1 ...), what, score, box xyxy in pixels, mask "
            "as COCO run lengths with size [height, width].",
            "items": {"type": "object"},
        },
        "pictures": {
            "type": "array",
            "description": "New pictures: number, name, size [height, width].",
            "items": {"type": "object"},
        },
    },
    "required": ["text", "session", "picture", "data", "segments", "pictures"],
}
"""Of every tool's structured content."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of a call.

    Attributes:
        text: In words.
        data: As JSON values, besides segments and pictures.
        segments: Found, made or pointed at; "absent" ones too.
        pictures: New ones.
    """

    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    segments: tuple[SessionSegment, ...] = ()
    pictures: tuple[SessionPicture, ...] = ()


def to_result(
    answer: Answer,
    known: Sequence[SessionPicture],
    shown: int,
    handle: str | None,
    *,
    with_images: bool,
) -> CallToolResult:
    """Return an answer as the protocol carries it.

    Args:
        answer: Of a call.
        known: Pictures of the session.
        shown: Number of the picture that is looked at; 0 for none.
        handle: Of a session that the client has to name; None if the connection is enough.
        with_images: Whether to add overlays, new pictures and masks as PNG.
    """
    from mcp_types import CallToolResult, ImageContent, TextContent

    lines = [answer.text, *_list_segments(answer.segments)]
    if handle is not None:
        lines.append(f"session: {handle}")
    pngs = _draw(answer, known) if with_images else []
    pictures = [
        ImageContent(data=base64.b64encode(png).decode("ascii"), mime_type="image/png")
        for png in pngs
    ]
    return CallToolResult(
        content=[TextContent(text="\n".join(line for line in lines if line)), *pictures],
        structured_content={
            "text": answer.text,
            "session": handle,
            "picture": shown,
            "data": dict(answer.data),
            "segments": [describe_segment(segment) for segment in answer.segments],
            "pictures": [describe_picture(picture) for picture in answer.pictures],
        },
    )


def to_error(message: str) -> CallToolResult:
    """Return why a call could not be answered, for the model that called to read."""
    from mcp_types import CallToolResult, TextContent

    return CallToolResult(content=[TextContent(text=message)], is_error=True)


def to_failure(error: Exception) -> CallToolResult:
    """Return that a call failed by a mistake of our own, which only the log describes."""
    return to_error(f"the server failed at this ({type(error).__name__}); its log says more.")


def _list_segments(segments: Sequence[SessionSegment]) -> list[str]:
    lines = []
    for one in segments[:_LISTED]:
        box = one.segment.box
        if box is None:
            lines.append(f"{one.segment.status}: {one.what or one.segment.phrase or 'segment'}")
        else:
            edges = ", ".join(f"{edge:g}" for edge in box)
            lines.append(f"{one.label}: box [{edges}], score {one.segment.score:.2f}")
    if len(segments) > _LISTED:
        lines.append(f"and {len(segments) - _LISTED} more")
    return lines


def _draw(answer: Answer, known: Sequence[SessionPicture]) -> list[bytes]:
    """Return overlays, one a picture; then new pictures; then masks, in the segments' order.

    Overlays are scaled down until they fit; masks keep their size, and the last ones are left out.
    """
    visible = [one for one in answer.segments if one.segment.box is not None]
    drawn = []
    for picture in known:
        here = [one for one in visible if one.picture == picture.number]
        if here:
            labels = [one.label for one in here]
            drawn.append(draw_segments(picture.image, [one.segment for one in here], labels=labels))
    drawn = [*drawn, *(picture.image for picture in answer.pictures)][:MAX_OVERLAYS]
    pngs = [_to_small_png(one, _OVERLAY_SHARE * MAX_PICTURE_BYTES / len(drawn)) for one in drawn]
    left = MAX_PICTURE_BYTES - sum(map(len, pngs))
    for one in visible:
        png = _to_png(Image.fromarray(one.segment.mask).convert("1"))
        left -= len(png)
        if left < 0:
            break
        pngs.append(png)
    return pngs


def _to_small_png(image: Image.Image, most: float) -> bytes:
    """Return a picture as PNG of at most so many bytes, as large as that allows."""
    side = min(_OVERLAY_SIDE, max(image.size))
    while True:
        small = image.copy()
        small.thumbnail((side, side))
        png = _to_png(small)
        if len(png) <= most or side < 2:
            return png
        # Bytes grow with the area; a little less, so that a second attempt is the last one.
        side = int(side * min(0.9, 0.95 * (most / len(png)) ** 0.5))


def _to_png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
