"""Talks about pictures in the terminal.

    lisa chat photo.jpg
    echo "What is in the picture?" | lisa chat photo.jpg --out answers

Questions are lines; /help lists commands. Masks go into --out as mask_1.png (that of #1) and so on,
with an overlay for each turn; terminals that can draw show the overlay too. Ctrl-C stops an answer,
Ctrl-D or /quit ends.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from chat.commands.choice import add_choice_arguments, choice_of
from lisa.commands.output_files import make_folder
from lisa.errors import MissingDependencyError

HELP = "talk about pictures in the terminal"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lisa chat`."""
    parser.add_argument(
        "images", metavar="IMAGE", nargs="*", help="pictures, or the folder of a saved conversation"
    )
    parser.add_argument("--out", default="lisa_chat", metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--draw",
        default="auto",
        choices=("auto", "kitty", "iterm2", "sixel", "blocks", "none"),
        help="how to draw in the terminal (default: what its environment says)",
    )
    parser.add_argument(
        "--seconds",
        type=_positive,
        default=120.0,
        metavar="S",
        help="after these an answer ends with what it has (default: %(default)g)",
    )
    add_choice_arguments(parser)


def _positive(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above zero")
    return seconds


def run(args: argparse.Namespace) -> int:
    """Opens the pictures, and answers lines until they end."""
    try:
        import pydantic  # noqa: F401 - what the tools are made of
    except ImportError as error:
        raise MissingDependencyError(
            "talking needs pydantic: pip install 'lisa-assistant[chat]'."
        ) from error
    from chat.limits import AgentLimits, SessionLimits
    from chat.session import ChatSession
    from chat.terminal.answer_files import AnswerFiles
    from chat.terminal.conversation import TerminalConversation, TerminalSettings
    from chat.terminal.graphics import choose_drawing
    from chat.workbench import Workbench

    workbench = Workbench(choice_of(args))
    limits = SessionLimits(agent=AgentLimits(seconds=args.seconds))

    def reopen(folder: Path) -> ChatSession:
        return ChatSession.load(folder, workbench, limits=limits)

    session = ChatSession(workbench, limits=limits)
    for name in args.images:
        if Path(name).is_dir():
            session = reopen(Path(name))
        else:
            session.add_picture(name)
    files = AnswerFiles(make_folder(args.out))
    is_terminal = sys.stdout.isatty()
    drawing = args.draw
    if drawing == "auto":
        drawing = choose_drawing(os.environ, is_terminal=is_terminal)
    columns = shutil.get_terminal_size().columns
    colours = is_terminal and not os.environ.get("NO_COLOR")
    settings = TerminalSettings(drawing, columns, colours)
    talk = TerminalConversation(session, files, _write, settings, reopen)
    talk.greet()
    for line in _lines():
        if not talk.take(line):
            break
    return 0


def _write(text: str) -> None:
    # Each piece at once: an answer should be seen to grow.
    sys.stdout.write(text)
    sys.stdout.flush()


def _lines() -> Iterator[str]:
    """Yield what is written, from a person with a prompt, from a pipe without."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield from sys.stdin
        return
    try:
        import readline  # noqa: F401 - lets input() keep a history
    except ImportError:
        pass  # not on every system
    while True:
        try:
            yield input("> ")
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print("\n(/quit or Ctrl-D ends)")
