"""The tool that counts and measures: exact numbers of masks."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from chat.state import SessionSegment
from chat.tools.contract import Tool, ToolArguments, ToolResult, ToolScene
from chat.tools.references import MAX_REFERENCE, MOST_REFERENCES, REFERENCE, Words
from chat.tools.reshaping import gap
from chat.tools.things import Finder
from chat.tools.words import means
from lisa.errors import DataError
from lisa.observations import say_area, say_count, say_distance, say_overlap


class MeasureArguments(ToolArguments):
    """What to measure, and of which segments."""

    what: Literal["area", "overlap", "distance", "count"] = Field(
        description="area of one or more segments; overlap or distance of two; count of things."
    )
    segments: list[Words] | None = Field(
        default=None, description=f"{REFERENCE} As many as needed.", max_length=MOST_REFERENCES
    )
    of: str | None = Field(
        default=None,
        description='What to count, such as "fruits"; left out, everything that is found.',
        min_length=1,
        max_length=MAX_REFERENCE,
    )


class MeasureTool(Tool[MeasureArguments]):
    """Measures masks in pixels."""

    name = "measure"
    description = "Measure area, overlap or distance of segments, or count things."
    arguments = MeasureArguments

    def run(self, arguments: MeasureArguments, scene: ToolScene) -> ToolResult:
        """Measure.

        Raises:
            DataError: If the segments that it takes are not given, or do not exist.
        """
        if arguments.of is not None and arguments.what != "count":
            raise DataError(
                f"of is for count only: name what to take the {arguments.what} of in segments."
            )
        finder, given = Finder(scene), arguments.segments or []
        if arguments.what == "area":
            return _area(finder, given)
        if arguments.what == "overlap":
            return _overlap(finder, given)
        if arguments.what == "distance":
            return _distance(finder, given)
        return _count(finder, given, arguments.of)


def _area(finder: Finder, given: list[str]) -> ToolResult:
    if not given:
        raise DataError('area needs a segment: give its name, such as segments ["#1"].')
    found = [finder.find(one) for one in given]
    masks = [one.segment.mask for one in found]
    said = [
        say_area(one.label, float(mask.mean()), int(mask.sum()))
        for one, mask in zip(found, masks, strict=True)
    ]
    areas = [
        {"segment": one.name, "pixels": int(mask.sum()), "share": float(mask.mean())}
        for one, mask in zip(found, masks, strict=True)
    ]
    return ToolResult("; ".join(said), {"what": "area", "areas": areas}, finder.new)


def _overlap(finder: Finder, given: list[str]) -> ToolResult:
    first, second = finder.pair(given)
    masks = first.segment.mask, second.segment.mask
    pixels = int(np.logical_and(*masks).sum())
    union = int(np.logical_or(*masks).sum())
    data = {
        "what": "overlap",
        "segments": [first.name, second.name],
        "pixels": pixels,
        "iou": pixels / union if union else 0.0,
    }
    return ToolResult(say_overlap(first.label, second.label, pixels), data, finder.new)


def _distance(finder: Finder, given: list[str]) -> ToolResult:
    first, second = finder.pair(given)
    between = gap(first.segment.mask, second.segment.mask)
    data = {"what": "distance", "segments": [first.name, second.name], "pixels": between}
    return ToolResult(say_distance(first.label, second.label, round(between)), data, finder.new)


def _count(finder: Finder, given: list[str], of: str | None) -> ToolResult:
    if given:
        found = list({one.name: one for one in map(finder.find, given)}.values())
        kept = [one for one in found if of is None or _is_called(finder, one, of)]
    else:
        kept = [finder.named(thing) for thing in finder.things_called(of)]
    data = {"what": "count", "of": of, "count": len(kept), "segments": [one.name for one in kept]}
    return ToolResult(say_count([one.label for one in kept]), data, finder.new)


def _is_called(finder: Finder, segment: SessionSegment, words: str) -> bool:
    picture = finder.picture_of(segment)
    what = segment.what or finder.words_for([segment.segment], picture)[0]
    return means(words, finder.kinds(segment.segment, what, picture))
