"""Serves the assistant's tools to other programs over the Model Context Protocol.

    lisa mcp --root ~/Pictures
    lisa mcp --http 127.0.0.1:8765

Without --http it talks over its own standard input and output, as programs that start their servers
themselves expect. Pictures come as data URLs; as files, from folders allowed with --root; as web
addresses, from hosts named with --fetch. Over HTTP, clients send the key of LISA_API_KEY, if it is
set.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chat.commands.choice import add_choice_arguments, choice_of
from lisa.errors import ConfigError

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

    from chat.mcp_server.calls import CallDesk
    from chat.safety.sources import PictureSources
    from chat.workbench import Workbench

HELP = "serve the tools to other programs (Model Context Protocol)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lisa mcp`."""
    parser.add_argument(
        "--http", metavar="HOST:PORT", help="serve over HTTP there instead of standard input"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name of this server, by which clients of other machines call it",
    )
    parser.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="DIR",
        help="folder whose pictures clients may name by path",
    )
    parser.add_argument("--save-dir", metavar="DIR", help="folder for sessions that clients save")
    parser.add_argument(
        "--fetch",
        action="append",
        default=[],
        metavar="HOST",
        help="fetch pictures from https addresses of this host; *.example.org for all below",
    )
    add_choice_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until the client leaves, or until somebody stops it."""
    from chat.mcp_server.server import build_server
    from chat.safety.keys import ApiKey, redacted_logs
    from chat.workbench import Workbench
    from lisa.commands.output_files import make_folder

    sources = _sources(args)
    save_dir = None if args.save_dir is None else make_folder(args.save_dir).resolve()
    make_desk = partial(_make_desk, Workbench(choice_of(args)), sources, save_dir)
    if args.http is None:
        if args.allow_host:
            raise ConfigError("--allow-host is for a server over HTTP: give --http, too.")
        import anyio

        with redacted_logs():
            server = build_server(make_desk, connection_of=lambda context: "standard input")
            anyio.run(_serve_standard_streams, server)
        return 0
    from chat.mcp_server.http import HttpSettings, connection_of, read_place, serve

    host, port = read_place(args.http)
    key = ApiKey.from_environment()
    settings = HttpSettings(host, port, tuple(args.allow_host), key, sources.limits)
    with redacted_logs(*([] if key is None else [key.secret])):
        serve(build_server(make_desk, connection_of=connection_of), settings)
    return 0


def _sources(args: argparse.Namespace) -> PictureSources:
    from chat.safety.fetch import FetchRules, PictureFetcher
    from chat.safety.limits import SafetyLimits
    from chat.safety.roots import AllowedRoots
    from chat.safety.sources import PictureSources

    limits = SafetyLimits()
    rules = FetchRules(hosts=tuple(args.fetch))
    return PictureSources(
        limits,
        PictureFetcher(rules, limits) if args.fetch else None,
        AllowedRoots([Path(folder).expanduser() for folder in args.root]) if args.root else None,
    )


def _make_desk(workbench: Workbench, sources: PictureSources, save_dir: Path | None) -> CallDesk:
    """Load the models and put together what clients can call."""
    from chat.mcp_server.calls import CallDesk
    from chat.mcp_server.operations import Ask, Load, OpenPicture, Save, Undo, UseTool
    from chat.mcp_server.sessions import SessionBook
    from chat.mcp_server.tool_session import ToolSession
    from chat.tools.registry import tools_for

    _ = workbench.pipeline  # a model that cannot be loaded is told with the first call, not later
    tools = tools_for(workbench)
    operations = [OpenPicture(), Ask(), *(UseTool(tool) for tool in tools), Undo()]
    if save_dir is not None:
        operations += [Save(save_dir), Load(save_dir)]
    book = SessionBook(lambda: ToolSession(workbench, tools=tools))
    return CallDesk(operations, book, sources)


async def _serve_standard_streams(server: Server[Any]) -> None:
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())
