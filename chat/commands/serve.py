"""Serves the assistant over HTTP, in the form that OpenAI's clients speak.

    lisa serve --port 8000

    from openai import OpenAI
    client = OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="none")
    client.chat.completions.create(model="lisa-nano", messages=[...])

A key is read from the environment variable LISA_API_KEY, never from the command line.
"""

from __future__ import annotations

import argparse
import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from chat.commands.choice import add_choice_arguments, choice_of
from lisa.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from chat.safety.keys import ApiKey
    from chat.safety.sources import PictureSources
    from chat.server.settings import ServerSettings

HELP = "serve the assistant over HTTP, for OpenAI's clients and others"

_ORIGIN = re.compile(r"https?://[\w.-]+(:\d{1,5})?", re.IGNORECASE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lisa serve`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on: %(default)s")
    parser.add_argument("--port", type=int, default=8000, help="0 for any free one: %(default)s")
    parser.add_argument(
        "--without-key",
        action="store_true",
        help="let everybody in, on other addresses than this machine's own, too",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="URL",
        help="a web page that may ask from a browser, such as https://example.org",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name of this server, if a proxy stands before it",
    )
    parser.add_argument(
        "--fetch",
        action="append",
        default=[],
        metavar="HOST",
        help="fetch pictures from https addresses of this host; *.example.org for all below",
    )
    parser.add_argument("--name", help="what clients call the model; default: from --model")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="questions at once")
    parser.add_argument("--waiting", type=int, default=64, metavar="N", help="that may wait")
    parser.add_argument(
        "--seconds", type=float, default=120.0, metavar="S", help="deadline of a request"
    )
    parser.add_argument(
        "--max-new-tokens", type=int, default=256, metavar="N", help="longest answer"
    )
    add_choice_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Loads the models, opens the port, and answers until it is told to stop."""
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"the server needs the package {error.name!r}, which is not installed: run "
            "`pip install 'lisa-assistant[serve]'`."
        ) from error
    # The cheap checks come first: a wrong option should not cost a minute of loading.
    from chat.safety.keys import ApiKey, redacted_logs

    key = ApiKey.from_environment()
    settings, sources = _settings(args, key), _sources(args)

    from chat.server.app import create_app
    from chat.server.serving import server_for
    from chat.workbench import Workbench

    with redacted_logs(*([] if key is None else [key.secret])):
        app = create_app(Workbench(choice_of(args)), settings, sources)
        guarded = "without a key" if key is None else "with the key of LISA_API_KEY"
        greeting = f"{settings.name} answers at {{address}}/v1 {guarded}; Ctrl-C stops."
        server_for(app, settings, args.host, args.port, greeting).run()
    return 0


def _settings(args: argparse.Namespace, key: ApiKey | None) -> ServerSettings:
    from chat.safety.hosts import LOCAL_HOSTS, is_local
    from chat.server.settings import ServerSettings

    alone = is_local(args.host)
    if key is None and not alone and not args.without_key:
        raise ConfigError(
            f"everybody who reaches {args.host} could use the model: set a key in LISA_API_KEY, "
            "or say --without-key."
        )
    for option, value, least in (
        ("--port", args.port, 0), ("--batch", args.batch, 1), ("--waiting", args.waiting, 0),
        ("--seconds", args.seconds, 1), ("--max-new-tokens", args.max_new_tokens, 1),
    ):  # fmt: skip
        if not least <= value <= 65_535:
            raise ConfigError(f"{option} is {value}: give a number from {least} to 65535.")
    for origin in args.allow_origin:
        if not _ORIGIN.fullmatch(origin):
            raise ConfigError(
                f"{origin!r} is not the origin of a web page: write https://example.org."
            )
    return ServerSettings(
        name=args.name or PurePath(args.model).name,
        batch=args.batch,
        waiting=args.waiting,
        seconds=args.seconds,
        max_new_tokens=args.max_new_tokens,
        origins=tuple(args.allow_origin),
        hosts=(*LOCAL_HOSTS, *(name.lower() for name in args.allow_host)) if alone else None,
        key=key,
    )


def _sources(args: argparse.Namespace) -> PictureSources:
    from chat.safety.fetch import FetchRules, PictureFetcher
    from chat.safety.limits import SafetyLimits
    from chat.safety.sources import PictureSources

    limits = SafetyLimits()
    if not args.fetch:
        return PictureSources(limits)
    return PictureSources(limits, PictureFetcher(FetchRules(hosts=tuple(args.fetch)), limits))
