"""Says which samples changed between two runs, and whether the difference is more than chance.

    lisa eval compare runs/eval/mine runs/eval/other

Both were asked the same benchmark in the same protocol. Differences are B less A, with their 95 %
interval and p-value from the paired bootstrap over pictures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

CHANGES = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lisa eval compare`."""
    from eval.commands.run_benchmarks import positive

    parser.add_argument("first", type=Path, metavar="A", help="a run's folder or predictions.jsonl")
    parser.add_argument("second", type=Path, metavar="B", help="another one")
    parser.add_argument(
        "--changes",
        type=positive,
        default=CHANGES,
        metavar="N",
        help="samples to list (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(args: argparse.Namespace) -> int:
    """Compares and prints."""
    import json

    from eval.outside.own_file import find_predictions, read_own
    from eval.report.compare import compare_answers
    from eval.report.compare_markdown import comparison_text

    first, second = (read_own(find_predictions(one)) for one in (args.first, args.second))
    found = compare_answers(first, second)
    print(json.dumps(found.to_record()) if args.json else comparison_text(found, args.changes))
    return 0
