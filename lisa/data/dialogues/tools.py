"""The tools that `lisa-nano` is trained with: their names and those of their arguments.

What the tools do is the assistant's business; the model reads their signatures only.
"""

from __future__ import annotations

from typing import Final

from lisa.types import ToolDescription


def _tool(name: str, *arguments: str) -> ToolDescription:
    """Describe a tool by its arguments; those that end with "?" may be left out."""
    names = [argument.rstrip("?") for argument in arguments]
    required = [argument for argument in arguments if not argument.endswith("?")]
    schema = {"type": "object", "properties": {n: {} for n in names}, "required": required}
    return ToolDescription(name, "", schema)


TRAINED_TOOLS: Final = (
    _tool("tag"),
    _tool("caption"),
    _tool("masks"),
    _tool("relate", "subject?", "relation?", "object?"),
    _tool("describe_region", "segment"),
    _tool("measure", "what", "segments?", "of?"),
    _tool("crop", "segment"),
    _tool("edit", "segment", "change"),
)
"""In the order in which the model is told of them."""
