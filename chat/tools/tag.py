"""The tool that says what a picture shows in single words."""

from __future__ import annotations

from dataclasses import asdict

from chat.tools.contract import Tool, ToolArguments, ToolResult, ToolScene
from chat.tools.words import plain_colour
from lisa.observations import say_tags

MOST_THINGS = 8
MOST_OTHERS = 4


class TagArguments(ToolArguments):
    """None."""


class TagTool(Tool[TagArguments]):
    """Lists the surest tags."""

    name = "tag"
    description = "List what is in the picture, and its colours, in single words."
    arguments = TagArguments

    def run(self, arguments: TagArguments, scene: ToolScene) -> ToolResult:
        """Tag the picture."""
        tags = scene.workbench.tags(scene.picture)
        things = scene.workbench.thing_names(scene.picture)
        others = [plain_colour(tag.name) for tag in tags if tag.category == "attribute"]
        text = say_tags(things[:MOST_THINGS], others[:MOST_OTHERS])
        return ToolResult(text, {"tags": [asdict(tag) for tag in tags]})
