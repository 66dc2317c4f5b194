"""The one console script, `lisa`: finds its sub-commands through entry points and runs one.

A sub-command is a module, named in the entry-point group `lisa.commands`, with three names: `HELP`
(one line), `add_arguments(parser)` and `run(args) -> int` (the exit code). Its heavy imports belong
inside `run`, so that `lisa --help` answers at once. Packages above `lisa` add commands the same
way, which is why nothing here imports them.

    lisa segment photo.jpg "Where would I sit down?" --out answer
    lisa doctor
"""

from __future__ import annotations

import argparse
import atexit
import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import NoReturn

from lisa import __version__
from lisa.errors import LisaError

COMMAND_GROUP = "lisa.commands"
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def run() -> NoReturn:
    """Runs the process's command and ends the process with its exit code.

    What was registered to run at the end still runs. Then the process ends at once: to take apart
    a million objects and a model costs Python up to two seconds, and the system does it sooner.
    """
    code = 1  # Python's own, after an error that nobody expected

    def leave() -> None:
        os._exit(code if _all_is_written() else EXIT_USER_ERROR)

    atexit.register(leave)  # what is registered first is called last
    code = main()
    sys.exit(code)


def _all_is_written() -> bool:
    """Writes what was printed and still waits; tells whether that was possible."""
    for stream in (sys.stderr, sys.stdout):
        try:
            stream.flush()
        except BrokenPipeError:
            pass  # the reader (`| head`) has gone, and wants no more
        except OSError as error:
            os.write(2, f"lisa: error: the answer cannot be printed: {error}\n".encode())
            return False
    return True


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one sub-command.

    Args:
        argv: Arguments without the program's name; None takes the process's own.

    Returns:
        The exit code: 0 when all went well, 2 for a mistake of the user's (also argparse's own),
        130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an answer may hold what a terminal cannot show
            stream.reconfigure(errors="replace")
    try:
        parser = build_parser(arguments)
        args = parser.parse_args(arguments)
        if args.command is None:
            parser.print_help()
            return EXIT_USER_ERROR
        return int(args.run(args))
    except LisaError as error:
        if debug:
            raise
        print(f"lisa: error: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except SystemExit as stop:  # argparse's way to end after --help or a mistake
        return stop.code if isinstance(stop.code, int) else EXIT_USER_ERROR
    except KeyboardInterrupt:
        if debug:
            raise
        print("lisa: stopped.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has gone; python must not complain again while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def build_parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Builds the parser.

    Args:
        arguments: The command line: where it names a sub-command, no other one is imported.
    """
    parser = argparse.ArgumentParser(
        prog="lisa",
        description="Answers questions about pictures and shows the answers as masks.",
        epilog="`lisa COMMAND --help` tells more about one command.",
    )
    parser.add_argument("--version", action="version", version=f"lisa {__version__}")
    _add_debug(parser, default=False)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands = {entry.name: entry for entry in entry_points(group=COMMAND_GROUP)}
    meant = next((word for word in arguments if not word.startswith("-")), None)
    for name in sorted(commands):
        if meant in commands and name != meant:
            subparsers.add_parser(name)  # never reached: its module need not be imported
            continue
        module = commands[name].load()
        subparser = subparsers.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _add_debug(subparser, default=argparse.SUPPRESS)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return parser


def _add_debug(parser: argparse.ArgumentParser, default: bool | str) -> None:
    parser.add_argument(
        "--debug",
        action="store_true",
        default=default,
        help="show where in the program an error arose",
    )


if __name__ == "__main__":
    run()
