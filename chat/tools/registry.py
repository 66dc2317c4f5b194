"""Which tools there are, and which of them work with given models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chat.tools.caption import CaptionTool
from chat.tools.contract import Tool
from chat.tools.crop import CropTool
from chat.tools.describe_region import DescribeRegionTool
from chat.tools.edit import EditTool
from chat.tools.masks import MasksTool
from chat.tools.measure import MeasureTool
from chat.tools.panoptic import PanopticTool
from chat.tools.relate import RelateTool
from chat.tools.segment import SegmentTool
from chat.tools.tag import TagTool

if TYPE_CHECKING:
    from chat.workbench import Part, Workbench

ALL_TOOLS: tuple[Tool[Any], ...] = (
    TagTool(),
    CaptionTool(),
    MasksTool(),
    PanopticTool(),
    RelateTool(),
    DescribeRegionTool(),
    MeasureTool(),
    CropTool(),
    EditTool(),
    SegmentTool(),
)
"""Every tool, in the order in which models are told of them."""

_NEEDS: dict[str, Part] = {"tag": "tagger", "panoptic": "panoptic", "relate": "relations"}
"""Tools that are of no use without a model of their own."""


def tools_for(workbench: Workbench) -> tuple[Tool[Any], ...]:
    """Return the tools that work with these models.

    Raises:
        CheckpointError: If weights cannot be found, read, or do not fit.
        DeviceError: If device or number type do not exist here.
    """
    return tuple(
        tool for tool in ALL_TOOLS if tool.name not in _NEEDS or workbench.has(_NEEDS[tool.name])
    )
