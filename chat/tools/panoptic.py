"""The tool that divides a picture into segments with class names."""

from __future__ import annotations

from chat.tools.contract import Tool, ToolArguments, ToolResult, ToolScene
from chat.tools.things import Finder
from lisa.errors import ConfigError
from lisa.observations import say_masks


class PanopticArguments(ToolArguments):
    """None."""


class PanopticTool(Tool[PanopticArguments]):
    """Asks a panoptic model."""

    name = "panoptic"
    description = "Divide the whole picture into segments with class names."
    arguments = PanopticArguments

    def run(self, arguments: PanopticArguments, scene: ToolScene) -> ToolResult:
        """Divide the picture.

        Raises:
            ConfigError: If there is no panoptic model.
        """
        with scene.workbench.lock:
            model = scene.workbench.panoptic
            if model is None:
                raise ConfigError("there is no panoptic model: use masks instead.")
            graph = model(scene.picture.image)
        finder = Finder(scene)
        words = graph.names or (None,) * len(graph.segments)
        named = [finder.add(*one) for one in zip(graph.segments, words, strict=True)]
        data = {"segments": [one.name for one in named]}
        return ToolResult(say_masks([one.label for one in named]), data, finder.new)
