"""How arguments of tools mean segments."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from chat.tools.contract import ToolArguments

MAX_REFERENCE = 200
"""Characters of a reference."""

MOST_REFERENCES = 16
"""Segments of one call."""

REFERENCE = 'A segment: its name, such as "#2", or words, such as "the cup".'
"""What a model is told of such an argument."""

Words: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_REFERENCE)]


class OneSegment(ToolArguments):
    """Which segment."""

    segment: str = Field(description=REFERENCE, min_length=1, max_length=MAX_REFERENCE)
