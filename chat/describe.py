"""A session as JSON values: the one form that all faces of the assistant write."""

from __future__ import annotations

from typing import Any

from chat.state import SessionPicture, SessionSegment, SessionState, Turn
from chat.steps import (
    Answered,
    Observed,
    SegmentAdded,
    Step,
    TextAdded,
    Thought,
    ToolCalled,
)
from lisa.masks import encode_rle


def describe_segment(segment: SessionSegment, with_mask: bool = True) -> dict[str, Any]:
    """Return a segment.

    Args:
        segment: Named or not.
        with_mask: Write its mask as COCO run lengths; it is large.

    Returns:
        Boxes are `xyxy` in pixels of the segment's picture, `text_span` counts characters of the
        answer that points at it.
    """
    drawn = segment.segment
    described: dict[str, Any] = {
        "name": segment.name,
        "what": segment.what,
        "label": segment.label,
        "picture": segment.picture,
        "origin": segment.origin,
        "status": drawn.status,
        "score": float(drawn.score),
        "box": None if drawn.box is None else [float(edge) for edge in drawn.box],
        "phrase": drawn.phrase,
        "text_span": list(drawn.text_span),
    }
    if with_mask:
        described["mask"] = None if drawn.status == "absent" else dict(encode_rle(drawn.mask))
    return described


def describe_step(step: Step, with_masks: bool = True) -> dict[str, Any]:
    """Return a step; "type" says which one it is.

    Args:
        step: Of a turn.
        with_masks: As in `describe_segment`.
    """
    match step:
        case Thought():
            return {"type": "thought", "text": step.text}
        case ToolCalled():
            return {
                "type": "tool_call",
                "call_id": step.call_id,
                "tool": step.tool,
                "arguments": dict(step.arguments),
            }
        case Observed():
            return {
                "type": "observation",
                "call_id": step.call_id,
                "text": step.text,
                "data": dict(step.data),
                "segments": [describe_segment(one, with_masks) for one in step.segments],
                "is_error": step.is_error,
                "seconds": step.seconds,
            }
        case TextAdded():
            return {"type": "text", "text": step.text}
        case SegmentAdded():
            return {"type": "segment", "segment": describe_segment(step.segment, with_masks)}
        case Answered():
            return {
                "type": "answer",
                "text": step.text,
                "segments": [describe_segment(one, with_masks) for one in step.segments],
                "ending": step.ending,
            }


def describe_turn(turn: Turn, with_masks: bool = True) -> dict[str, Any]:
    """Return a turn with its steps.

    Args:
        turn: Of a session.
        with_masks: As in `describe_segment`.
    """
    return {
        "question": turn.question,
        "picture": turn.picture,
        "pointed": [segment.name for segment in turn.pointed],
        "steps": [describe_step(step, with_masks) for step in turn.steps],
        "answer": turn.answer.text,
        "ending": turn.answer.ending,
        "segments": [segment.name for segment in turn.segments],
        "pictures": list(turn.pictures),
    }


def describe_picture(picture: SessionPicture) -> dict[str, Any]:
    """Return a picture without its pixels; `size` is `[height, width]`."""
    return {
        "number": picture.number,
        "name": picture.name,
        "size": [picture.image.height, picture.image.width],
        "digest": picture.digest,
    }


def describe_session(state: SessionState) -> dict[str, Any]:
    """Return a session; its masks stand once, beside the segments' names."""
    return {
        "picture": state.picture,
        "pictures": [describe_picture(picture) for picture in state.pictures],
        "segments": [describe_segment(segment) for segment in state.segments],
        "turns": [describe_turn(turn, with_masks=False) for turn in state.turns],
        "pointed": list(state.pointed),
    }
