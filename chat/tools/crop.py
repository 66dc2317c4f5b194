"""The tool that shows a segment up close, as a new picture."""

from __future__ import annotations

from chat.tools.contract import NewPicture, Tool, ToolResult, ToolScene
from chat.tools.references import OneSegment
from chat.tools.things import Finder
from lisa.errors import DataError
from lisa.observations import say_crop

_MARGIN = 0.15
"""Of the longer side of the segment's box, on every side: surroundings help to see what it is."""

_LEAST_MARGIN = 4
"""Pixels."""


class CropTool(Tool[OneSegment]):
    """Cuts the surroundings of a segment out of the picture."""

    name = "crop"
    description = "Make a new picture that shows a segment up close."
    arguments = OneSegment

    def run(self, arguments: OneSegment, scene: ToolScene) -> ToolResult:
        """Cut the segment out.

        Raises:
            DataError: If there is no such segment.
        """
        finder = Finder(scene)
        segment = finder.find(arguments.segment)
        if segment.segment.box is None:
            raise DataError(f"{segment.label} has no pixels: give a segment that has some.")
        left, top, right, bottom = map(round, segment.segment.box)
        image = finder.picture_of(segment).image
        margin = max(_LEAST_MARGIN, round(_MARGIN * max(right - left, bottom - top)))
        frame = (
            max(0, left - margin),
            max(0, top - margin),
            min(image.width, right + margin),
            min(image.height, bottom + margin),
        )
        made = scene.add_picture(NewPicture(image.crop(frame), f"{segment.label} up close"))
        data = {"segment": segment.name, "picture": made.number, "box": list(frame)}
        return ToolResult(say_crop(segment.label, made.number), data, finder.new, (made,))
