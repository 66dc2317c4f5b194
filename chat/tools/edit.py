"""The tool that makes a segment bigger or smaller; the old one stays as it is."""

from __future__ import annotations

from math import sqrt
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from chat.state import SessionSegment
from chat.tools.contract import NewSegment, Tool, ToolResult, ToolScene
from chat.tools.references import OneSegment
from chat.tools.reshaping import grown, shrunk
from chat.tools.things import Finder
from lisa.errors import DataError
from lisa.masks import mask_to_box
from lisa.observations import say_edit
from lisa.types import Segment

Change: TypeAlias = Literal["bigger", "smaller"]

_STEP = 0.08
"""Of the square root of the mask's area: its border moves by so much."""

_MOST_ALIKE = 0.85
"""Highest IoU of the new mask and the old one: less of a change would not be seen."""


class EditArguments(OneSegment):
    """Which segment, and what to do with it."""

    change: Change = Field(description="What to make of it.")


class EditTool(Tool[EditArguments]):
    """Moves the border of a mask."""

    name = "edit"
    description = "Make a new segment that is a bigger or smaller form of another one."
    arguments = EditArguments

    def run(self, arguments: EditArguments, scene: ToolScene) -> ToolResult:
        """Make the new segment.

        Raises:
            DataError: If there is no such segment, or it cannot be changed so.
        """
        finder = Finder(scene)
        old = finder.find(arguments.segment)
        mask = _changed(old, arguments.change)
        segment = Segment(mask, mask_to_box(mask), old.segment.score, "found", None, (0, 0))
        made = finder.noted(scene.add(NewSegment(segment, old.what, old.picture)))
        share = float(mask.mean())
        data = {"segment": made.name, "of": old.name, "change": arguments.change, "share": share}
        text = say_edit(made.name, old.label, arguments.change, share)
        return ToolResult(text, data, finder.new)


def _changed(old: SessionSegment, change: Change) -> NDArray[np.bool_]:
    mask = old.segment.mask
    area = int(mask.sum())
    radius = max(1, round(_STEP * sqrt(area)))
    if change == "bigger":
        while radius <= max(mask.shape):
            bigger = grown(mask, radius)
            if area <= _MOST_ALIKE * bigger.sum():
                return bigger
            radius *= 2
        raise DataError(f"{old.label} fills the picture: it cannot be made bigger.")
    while radius:
        smaller = shrunk(mask, radius)
        if smaller.any():
            return smaller
        radius //= 2
    raise DataError(f"{old.label} is too thin: it cannot be made smaller.")
