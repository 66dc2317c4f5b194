"""Asks a model the questions of benchmarks, and scores answers of any system.

    lisa eval nano:all                                   # ask, score, write a report
    lisa eval reasonseg:val --data dataset --model xinlai/LISA-7B-v1 --out runs/eval/mine
    lisa eval my/data.yaml                               # your own data
    lisa eval score runs/eval/mine                       # score again, without a model
    lisa eval score results.json --benchmark refcoco:val --data dataset
    lisa eval compare runs/eval/mine runs/eval/other     # which samples changed, and is it chance
    lisa eval list                                       # all benchmarks, and what they need

`lisa eval score --help`, `lisa eval compare --help` and `lisa eval list --help` tell more. Into
--out go predictions.jsonl (every answer as it is given; --resume goes on with it), report.json,
report.md and report.html (worst answers first, with pictures).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from eval.commands import compare, list_benchmarks, run_benchmarks, score
from lisa.errors import ConfigError

HELP = "ask a model the questions of benchmarks, score answers, compare runs"

ACTIONS: dict[str, ModuleType] = {
    "score": score,
    "compare": compare,
    "list": list_benchmarks,
}
"""What the first word may be; any other one is the name of a benchmark."""


class _Words(argparse.Action):
    """The first word says what is done; everything behind it belongs to that."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        words = [str(word) for word in values or ()]
        action = ACTIONS.get(words[0])
        before = [name for name, usual in _defaults().items() if getattr(namespace, name) != usual]
        if action is not None and before:
            option = f"--{before[0].replace('_', '-')}"
            raise ConfigError(f"{option} stands before {words[0]!r}: put options behind it.")
        chosen = run_benchmarks if action is None else action
        prog = parser.prog if action is None else f"{parser.prog} {words.pop(0)}"
        further = argparse.ArgumentParser(
            prog=prog,
            description=chosen.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # `lisa --debug eval list` as well as `lisa eval list --debug`.
        further.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help="show where in the program an error arose",
        )
        chosen.add_arguments(further)
        further.parse_args(words, namespace)
        namespace.act = chosen.run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what stands behind `lisa eval`."""
    parser.usage = "lisa eval NAME [NAME ...] [options] | score ... | compare A B | list"
    parser.add_argument(
        "words",
        nargs=argparse.PARSER,
        action=_Words,
        metavar="NAME",
        help="a benchmark such as nano:all or reasonseg:val, the path of your own data, or score, "
        "compare or list",
    )
    # Options may stand before the name as well.
    run_benchmarks.add_options(parser)


def _defaults() -> dict[str, Any]:
    """Return what the options of a run are where nobody gives them."""
    parser = argparse.ArgumentParser()
    run_benchmarks.add_options(parser)
    return vars(parser.parse_args([]))


def run(args: argparse.Namespace) -> int:
    """Does what the first word says."""
    return int(args.act(args))
