"""Calls of tools as answers write them: one JSON object between two marks.

The form is that of Hermes, which Qwen and others took over:

    <tool_call>
    {"name": "measure", "arguments": {"what": "area", "segments": ["#1"]}}
    </tool_call>
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lisa.errors import DataError
from lisa.tokens import TOOL_CALL_END, TOOL_CALL_START

MAX_CALL_CHARACTERS = 4000
"""A longer call is not read: arguments are names and a few numbers."""


@dataclass(frozen=True)
class ToolCall:
    """What an assistant asks a tool to do.

    Attributes:
        name: Of the tool.
        arguments: By name; not checked yet.
    """

    name: str
    arguments: Mapping[str, Any]


def write_call(call: ToolCall) -> str:
    """Return a call as an answer."""
    body = json.dumps({"name": call.name, "arguments": dict(call.arguments)}, ensure_ascii=False)
    return f"{TOOL_CALL_START}\n{body}\n{TOOL_CALL_END}"


def may_become_call(text: str) -> bool:
    """Tell whether an answer whose beginning is known is a call, or could still become one."""
    begun = text.lstrip()
    return begun.startswith(TOOL_CALL_START) or TOOL_CALL_START.startswith(begun)


def read_call(text: str) -> ToolCall | None:
    """Read the call that an answer begins with; None if it is no call.

    Only the first call counts: what a model writes behind it, it writes without having seen the
    result.

    Raises:
        DataError: If it is a call that cannot be read.
    """
    begun = text.lstrip()
    if not begun.startswith(TOOL_CALL_START):
        return None
    body = begun[len(TOOL_CALL_START) :].split(TOOL_CALL_END)[0].strip()
    if len(body) > MAX_CALL_CHARACTERS:
        raise DataError(f"a call of {len(body)} characters: write at most {MAX_CALL_CHARACTERS}.")
    try:
        data = json.loads(body)
        # Python reads NaN and Infinity too, which those who get the steps as JSON could not.
        json.dumps(data, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"the call is no JSON ({type(error).__name__}): write "
            '{"name": ..., "arguments": {...}}.'
        ) from error
    name = data.get("name") if isinstance(data, dict) else None
    arguments = data.get("arguments", {}) if isinstance(data, dict) else None
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise DataError('the call is not of the form {"name": ..., "arguments": {...}}.')
    return ToolCall(name, arguments)
