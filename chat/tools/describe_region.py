"""The tool that says what a segment shows, its colours and its place."""

from __future__ import annotations

import numpy as np

from chat.tools.contract import Tool, ToolResult, ToolScene
from chat.tools.references import OneSegment
from chat.tools.things import Finder
from lisa.data.colours import main_colours
from lisa.observations import label, place_of, say_region


class DescribeRegionTool(Tool[OneSegment]):
    """Looks at the pixels under a mask."""

    name = "describe_region"
    description = "Say what a segment shows, its colours, place and size."
    arguments = OneSegment

    def run(self, arguments: OneSegment, scene: ToolScene) -> ToolResult:
        """Describe the segment.

        Raises:
            DataError: If there is no such segment.
        """
        finder = Finder(scene)
        segment = finder.find(arguments.segment)
        picture = finder.picture_of(segment)
        mask = segment.segment.mask
        what = segment.what
        if what is None:
            (what,) = finder.words_for([segment.segment], picture)
        colours = main_colours(np.asarray(picture.image)[mask])
        place, share = place_of(mask), float(mask.mean())
        data = {
            "segment": segment.name,
            "what": what,
            "colours": list(colours),
            "place": place,
            "share": share,
            "box": segment.segment.box,
        }
        text = say_region(label(segment.name, what), colours, place, share)
        return ToolResult(text, data, finder.new)
