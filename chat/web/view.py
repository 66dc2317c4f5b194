"""What the page shows, as JSON values; its scripts write each text as text, never as HTML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from chat.state import SessionPicture, SessionSegment, SessionState, Turn
from chat.steps import Answered, Observed, SegmentAdded, Step, TextAdded, Thought, ToolCalled
from chat.web.colours import paint
from chat.web.data_urls import THUMB_SIDE, mask_url, picture_url
from lisa.tokens import REJECT_TOKEN, SEG_TOKEN

Values: TypeAlias = dict[str, Any]

ENDINGS = {
    "length": "The answer was cut: it had reached its greatest length.",
    "steps": "The turn ended here: it had taken all the steps it may take.",
    "time": "The turn ended here: its time was over.",
}
"""What is said about a turn that did not end by itself."""

_NAMELESS = {"absent": "not in the picture", "empty": "nothing found"}
_TOKEN = re.compile(f"{re.escape(SEG_TOKEN)}|{re.escape(REJECT_TOKEN)}")


class Urls:
    """Data URLs of pictures and masks, each made once; forgotten with what they show."""

    def __init__(self) -> None:
        self._masks: WeakKeyDictionary[SessionSegment, str] = WeakKeyDictionary()
        self._pictures: WeakKeyDictionary[SessionPicture, str] = WeakKeyDictionary()
        self._thumbs: WeakKeyDictionary[SessionPicture, str] = WeakKeyDictionary()

    def mask(self, segment: SessionSegment) -> str:
        """Return the mask of a segment."""
        if segment not in self._masks:
            self._masks[segment] = mask_url(segment.segment.mask)
        return self._masks[segment]

    def picture(self, picture: SessionPicture) -> str:
        """Return a picture."""
        if picture not in self._pictures:
            self._pictures[picture] = picture_url(picture.image)
        return self._pictures[picture]

    def thumb(self, picture: SessionPicture) -> str:
        """Return a small copy of a picture."""
        if picture not in self._thumbs:
            self._thumbs[picture] = picture_url(picture.image, THUMB_SIDE)
        return self._thumbs[picture]


def stage_view(state: SessionState, coming: Sequence[Step], urls: Urls) -> Values:
    """Return what the left side shows: the picture's segments, all pictures, relations.

    Args:
        state: Of the session.
        coming: Steps of the turn that runs; what they found is shown before the session has it.
        urls: Where masks and small pictures come from.
    """
    named = {one.name: one for one in (*state.segments, *found_in(coming))}
    here = [one for one in named.values() if one.picture == state.picture]
    picture = next((one for one in state.pictures if one.number == state.picture), None)
    turns = (*(turn.steps for turn in state.turns), coming)
    return {
        "picture": None
        if picture is None
        else {
            "number": picture.number,
            "name": picture.name,
            "width": picture.image.width,
            "height": picture.image.height,
        },
        "pictures": [
            {"number": one.number, "name": one.name, "thumb": urls.thumb(one)}
            for one in state.pictures
        ],
        "segments": [_segment_view(one, urls) for one in here],
        "relations": relations_of(turns, {one.name for one in here}),
    }


def found_in(steps: Iterable[Step]) -> Iterator[SessionSegment]:
    """Yield the segments with names that steps have found, in their order."""
    for step in steps:
        if isinstance(step, Observed):
            yield from (one for one in step.segments if one.name)
        elif isinstance(step, SegmentAdded) and step.segment.name:
            yield step.segment


def _segment_view(one: SessionSegment, urls: Urls) -> Values:
    mask = one.segment.mask
    return {
        **chip_view(one),
        "what": one.what or "",
        "share": 100 * float(mask.mean()),
        "score": round(float(one.segment.score), 3),
        "origin": one.origin,
        "box": None if one.segment.box is None else list(one.segment.box),
        "mask": urls.mask(one),
    }


def relations_of(turns: Iterable[Iterable[Step]], names: set[str]) -> list[Values]:
    """Return the relations that tools have found between segments, each once, oldest first.

    Args:
        turns: Steps of every turn.
        names: Of the segments between which they are wanted.
    """
    found: dict[tuple[str, ...], None] = {}
    for steps in turns:
        for step in steps:
            if isinstance(step, Observed) and not step.is_error:
                for one in _relations_in(step.data):
                    if one[0] in names and one[2] in names:
                        found[one] = None
    return [{"subject": a, "predicate": b, "object": c} for a, b, c in found]


def _relations_in(data: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    # A session that was opened from a file may hold anything here.
    listed = data.get("relations")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, Mapping):
            words = [one.get(key) for key in ("subject", "predicate", "object")]
            if all(isinstance(word, str) for word in words):
                yield tuple(map(str, words))


def chip_view(one: SessionSegment) -> Values:
    """Return how a segment is named in text."""
    colours = paint(one.name)
    status = one.segment.status
    label = one.label if one.name else _NAMELESS.get(status, "")
    return {
        "name": one.name,
        "label": label,
        "status": status,
        "picture": one.picture,
        "colour": colours.colour,
        "ink": colours.ink,
    }


def turn_view(turn: Turn) -> Values:
    """Return a turn that has ended."""
    view = steps_view(turn.question, turn.steps)
    view["picture"] = turn.picture
    view["pointed"] = [chip_view(one) for one in turn.pointed]
    return view


def steps_view(question: str, steps: Sequence[Step]) -> Values:
    """Return a turn as far as it has come.

    Args:
        question: As it was asked.
        steps: So far; the last one of a turn that has ended is its answer.
    """
    answer = next((step for step in steps if isinstance(step, Answered)), None)
    if answer is None:
        text = "".join(step.text for step in steps if isinstance(step, TextAdded))
        shown = [step.segment for step in steps if isinstance(step, SegmentAdded)]
    else:
        text, shown = answer.text, list(answer.segments)
    return {
        "question": question,
        "pointed": [],
        "steps": _tool_views(steps, running=answer is None),
        "pieces": pieces(text, shown),
        "running": answer is None,
        "note": "" if answer is None else ENDINGS.get(answer.ending, ""),
    }


def pieces(text: str, segments: Sequence[SessionSegment]) -> list[Values]:
    """Cut an answer at its mask tokens and put its segments there.

    Args:
        text: With its tokens.
        segments: In the order of the text; one that has not come yet is shown as awaited.
    """
    parts = _TOKEN.split(text)
    cut: list[Values] = []
    for place, part in enumerate(parts):
        if part:
            cut.append({"text": part})
        if place < len(parts) - 1:
            known = place < len(segments)
            cut.append({"chip": chip_view(segments[place]) if known else None})
    return cut


def _tool_views(steps: Sequence[Step], *, running: bool) -> list[Values]:
    results = {step.call_id: step for step in steps if isinstance(step, Observed)}
    views: list[Values] = []
    for step in steps:
        if isinstance(step, Thought):
            views.append({"kind": "thought", "text": step.text})
        elif isinstance(step, ToolCalled):
            views.append(_call_view(step, results.get(step.call_id), running=running))
    return views


def _call_view(call: ToolCalled, result: Observed | None, *, running: bool) -> Values:
    return {
        "kind": "tool",
        "id": call.call_id,
        "tool": call.tool,
        "words": _in_words(call.arguments),
        "arguments": json.dumps(dict(call.arguments), ensure_ascii=False, indent=1),
        "text": "" if result is None else result.text,
        "failed": result is not None and result.is_error,
        "seconds": None if result is None else round(result.seconds, 2),
        "segments": [] if result is None else [chip_view(one) for one in result.segments],
        "running": running and result is None,
    }


def _in_words(arguments: Mapping[str, Any]) -> str:
    """Return arguments as a person reads them: "left of, #2"."""
    words = []
    for value in arguments.values():
        if isinstance(value, str):
            words.append(value)
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            words.append(" and ".join(value))
        else:
            words.append(json.dumps(value, ensure_ascii=False))
    return ", ".join(words)
