"""Opens a web page: a conversation beside its picture.

    lisa web --open

The page is for this machine alone unless --host says otherwise; then browsers have to give the key
of the environment variable LISA_API_KEY as the password. Everybody sees no session but their own.
Nothing is loaded from the internet, and nothing is sent there.
"""

from __future__ import annotations

import argparse
import signal
import threading
from importlib.util import find_spec
from pathlib import Path

from chat.commands.choice import add_choice_arguments, choice_of
from lisa.errors import ConfigError, MissingDependencyError

HELP = "open a web page to talk about pictures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lisa web`."""
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: %(default)s)"
    )
    parser.add_argument(
        "--port", type=int, metavar="N", help="default: the first free one from 7860 on"
    )
    parser.add_argument(
        "--without-key", action="store_true", help="let everybody in who reaches another --host"
    )
    parser.add_argument("--open", action="store_true", help="show the page in the browser")
    add_choice_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Loads the model and serves the page until it is stopped."""
    if find_spec("gradio") is None:
        raise MissingDependencyError(
            "the web page needs Gradio: pip install 'lisa-assistant[web]'."
        )
    from chat.safety.keys import KEY_VARIABLE, ApiKey
    from chat.session import ChatSession
    from chat.web.desk import Sessions
    from chat.web.page import PageSettings
    from chat.web.serving import ServingSettings, serve_page
    from chat.workbench import Workbench

    key = ApiKey.from_environment()
    serving = ServingSettings(args.host, args.port, args.open, key=key)
    if key is None and not serving.is_local and not args.without_key:
        raise ConfigError(
            f"everybody who reaches {args.host} could use the page: set a key in {KEY_VARIABLE}, "
            "or say --without-key."
        )
    workbench = Workbench(choice_of(args))
    print(f"Loading {args.model} ...", flush=True)
    _ = workbench.pipeline
    sessions = Sessions(
        new=lambda: ChatSession(workbench),
        load=lambda folder: ChatSession.load(folder, workbench),
    )
    page = PageSettings(sessions, model=Path(args.model).name)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    with serve_page(page, serving) as address:
        print(f"The page is at {address} (Ctrl-C stops it).", flush=True)
        stopped.wait()
    return 0
