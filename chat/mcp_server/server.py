"""The protocol's side: lists the tools, carries calls to their threads, reports progress."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from chat.cancellation import Cancellation
from chat.mcp_server.answers import OUTPUT_SCHEMA, to_error, to_failure
from chat.mcp_server.calls import CallDesk
from chat.steps import Step, TextAdded, Thought, ToolCalled
from lisa import __version__
from lisa.errors import LisaError, MissingDependencyError

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel import Server
    from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 2.0
"""Between two reports of a call at which nothing else happens: clients give up on silent ones."""

MAX_WAITING = 32
"""Calls at work or waiting; one more is refused."""

_THREADS = 8
_INSTRUCTIONS = (
    "Open a picture, then ask about it or call tools. What is found is a segment with a name, such "
    "as #1, that later calls can use. Masks come as COCO run lengths, and as PNG with with_images."
)


def build_server(
    make_desk: Callable[[], CallDesk], *, connection_of: Callable[[Any], str | None]
) -> Server[Any]:
    """Return a server of the official SDK.

    Args:
        make_desk: Called once, in a thread, when the first client asks for something: it may load
            models, and clients want their greeting answered at once.
        connection_of: Returns from a request's context which connection asks; None if its requests
            stand alone.

    Raises:
        MissingDependencyError: The package `mcp` is not installed.
    """
    try:
        from mcp.server.lowlevel import Server
    except ImportError as error:
        raise MissingDependencyError(
            "the MCP server needs the package mcp: run pip install 'lisa-assistant[mcp]'."
        ) from error
    handlers = _Handlers(make_desk, connection_of)
    return Server(
        "lisa",
        version=__version__,
        title="LISA",
        instructions=_INSTRUCTIONS,
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        # Without it the SDK would list all tools before every call over HTTP.
        get_tool_input_schema=lambda name: None,
    )


class _Handlers:
    def __init__(
        self, make_desk: Callable[[], CallDesk], connection_of: Callable[[Any], str | None]
    ) -> None:
        import anyio

        self._make_desk, self._connection_of = make_desk, connection_of
        self._desk: CallDesk | None = None
        self._making = anyio.Lock()
        self._threads = anyio.CapacityLimiter(_THREADS)
        self._calls = 0

    async def _open_desk(self) -> CallDesk:
        import anyio.to_thread

        async with self._making:
            if self._desk is None:
                self._desk = await anyio.to_thread.run_sync(self._make_desk)
            return self._desk

    async def list_tools(self, context: ServerRequestContext[Any], params: Any) -> ListToolsResult:
        from mcp.shared.exceptions import MCPError
        from mcp_types import INTERNAL_ERROR, ListToolsResult, Tool, ToolAnnotations

        try:
            desk = await self._open_desk()
        except LisaError as error:
            raise MCPError(code=INTERNAL_ERROR, message=str(error)) from error
        tools = [
            Tool(
                name=one.name,
                description=one.description,
                input_schema=desk.schema(one),
                output_schema=OUTPUT_SCHEMA,
                # They add to their session, or write below the owner's folder, and nothing else.
                annotations=ToolAnnotations(destructive_hint=False, open_world_hint=False),
            )
            for one in desk.operations.values()
        ]
        return ListToolsResult(tools=tools)

    async def call_tool(
        self, context: ServerRequestContext[Any], params: CallToolRequestParams
    ) -> CallToolResult:
        if self._calls >= MAX_WAITING:
            return to_error("the server is busy: try again in a few seconds.")
        self._calls += 1
        try:
            return await self._call(context, params)
        finally:
            self._calls -= 1

    async def _call(
        self, context: ServerRequestContext[Any], params: CallToolRequestParams
    ) -> CallToolResult:
        import anyio
        import anyio.from_thread
        import anyio.to_thread

        progress = _Progress(context)
        cancellation = Cancellation()

        def listen(step: Step) -> None:
            match step:
                case ToolCalled():
                    anyio.from_thread.run(progress.begin, f"calls {step.tool}")
                case Thought() | TextAdded():
                    anyio.from_thread.run(progress.report, step.text)

        async def answer() -> CallToolResult:
            try:
                desk = await self._open_desk()
            except LisaError as error:
                return to_error(str(error))
            except Exception as error:
                logger.exception("the tools cannot be prepared")
                return to_failure(error)
            work = partial(
                desk.run,
                params.name,
                params.arguments or {},
                self._connection_of(context),
                cancellation,
                listen,
            )
            # Abandoned when the client takes its call back; the turn then stops by itself.
            return await anyio.to_thread.run_sync(
                work, abandon_on_cancel=True, limiter=self._threads
            )

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(progress.beat)
                result = await answer()
                group.cancel_scope.cancel()
        finally:
            cancellation.cancel()
        return result


class _Progress:
    """Reports of one call: seconds so far, and what is being done or said."""

    def __init__(self, context: ServerRequestContext[Any]) -> None:
        self._context = context
        self._begin = time.monotonic()
        self._work = "at work"

    async def report(self, words: str) -> None:
        seconds = time.monotonic() - self._begin
        await self._context.session.report_progress(seconds, None, words)

    async def begin(self, work: str) -> None:
        self._work = work
        await self.report(work)

    async def beat(self) -> None:
        import anyio

        while True:
            await anyio.sleep(HEARTBEAT_SECONDS)
            await self.report(self._work)
