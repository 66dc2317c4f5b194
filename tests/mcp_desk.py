"""An MCP server around a scripted model, for tests that need no weights."""

from __future__ import annotations

import base64
import io
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
from mcp.client.client import Client
from PIL import Image

from chat.deciders import NativeDecider
from chat.mcp_server.calls import CallDesk
from chat.mcp_server.operations import Ask, Load, OpenPicture, Save, Undo, UseTool
from chat.mcp_server.server import build_server
from chat.mcp_server.sessions import BookLimits, SessionBook
from chat.mcp_server.tool_session import ToolSession
from chat.safety.limits import SafetyLimits
from chat.safety.sources import PictureSources
from chat.tools.contract import AnyTool
from chat.tools.crop import CropTool
from tests.chat_script import (
    FindTool,
    MakeTool,
    Script,
    ScriptedSpeaker,
    ScriptedWorkbench,
    plain_picture,
)

TOOLS: tuple[AnyTool, ...] = (FindTool(), MakeTool(), CropTool())


CUP = {"what": "cup", "box": [1, 2, 30, 40]}
"""Arguments of `make`."""


def data_url(image: Image.Image) -> str:
    """A picture as clients send it."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


PICTURE = data_url(plain_picture())


def scripted_tool_session(
    script: Script = (), *, tools: Sequence[AnyTool] = TOOLS, pause: float = 0.0
) -> ToolSession:
    """A session whose model says what the script says."""
    speaker = ScriptedSpeaker(script, pause)
    return ToolSession(
        ScriptedWorkbench({"cup": (1, 2, 20, 30)}),
        speaker=speaker,
        decider=NativeDecider(speaker, [tool.name for tool in tools]),
        tools=tools,
    )


def scripted_desk(
    script: Script = (),
    *,
    tools: Sequence[AnyTool] = TOOLS,
    pause: float = 0.0,
    save_dir: Path | None = None,
    sources: PictureSources | None = None,
    limits: BookLimits | None = None,
) -> CallDesk:
    """What clients can call; every session begins the script anew."""
    operations = [OpenPicture(), Ask(), *(UseTool(tool) for tool in tools), Undo()]
    if save_dir is not None:
        operations += [Save(save_dir), Load(save_dir)]
    book = SessionBook(lambda: scripted_tool_session(script, tools=tools, pause=pause), limits)
    return CallDesk(operations, book, sources or PictureSources(SafetyLimits()))


def scripted_server(
    script: Script = (),
    *,
    connection_of: Callable[[Any], str | None] = lambda context: "the only one",
    **options: Any,
):
    """A server for `mcp.client.client.Client`; options are those of `scripted_desk`."""
    desk = scripted_desk(script, **options)
    return build_server(lambda: desk, connection_of=connection_of)


def texts(result: Any) -> str:
    """All words of a result."""
    return "\n".join(block.text for block in result.content if block.type == "text")


def pictures(result: Any) -> list[Image.Image]:
    """All pictures of a result."""
    blocks = [block for block in result.content if block.type == "image"]
    assert all(block.mime_type == "image/png" for block in blocks)
    return [Image.open(io.BytesIO(base64.b64decode(block.data))) for block in blocks]


def talk(server: Any, work: Callable[[Client], Awaitable[None]], mode: str = "auto") -> None:
    """Connect the official client to a server in this process, and let it work."""

    async def run() -> None:
        with anyio.fail_after(30):
            async with Client(server, mode=mode) as client:
                await work(client)

    anyio.run(run)


async def ok(client: Client, name: str, /, **arguments: object) -> Any:
    """Call a tool that has to answer; returns its structured content."""
    result = await client.call_tool(name, arguments)
    assert not result.is_error, texts(result)
    return result.structured_content


async def why(client: Client, name: str, /, **arguments: object) -> str:
    """Call a tool that has to refuse; returns its one sentence."""
    result = await client.call_tool(name, arguments)
    assert result.is_error
    assert "\n" not in texts(result)
    return texts(result)
