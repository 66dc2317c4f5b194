"""Scores answers again without a model, or the predictions of another system.

    lisa eval score runs/eval/mine
    lisa eval score results.json --benchmark refcoco:val --data dataset
    lisa eval score masks/ --benchmark reasonseg:val --data dataset --out runs/eval/theirs

PREDICTIONS is a run's folder or predictions.jsonl; with --benchmark also a COCO results file, a
folder of PNG masks, or, for tags, relations and saliency, the file or folder that their evaluations
write (see `lisa eval list`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "score predictions without a model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lisa eval score`."""
    from eval.commands.run_benchmarks import add_samples, positive

    parser.add_argument("predictions", type=Path, metavar="PREDICTIONS", help="file or folder")
    parser.add_argument(
        "--benchmark", metavar="NAME", help="what was asked; for predictions of other systems"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="where its data set lies")
    parser.add_argument(
        "--threshold",
        metavar="T",
        help="masks of a COCO results file with a lower score do not count (default: all do); tags "
        "with a lower probability are not there (default: 0.5; or a file, one number a tag)",
    )
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="the questions of a run with this --limit"
    )
    parser.add_argument("--system", metavar="NAME", help="who answered, for the report")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write a report there")
    parser.add_argument(
        "--json", action="store_true", help="print report.json in a line, not the table"
    )
    add_samples(parser)


def run(args: argparse.Namespace) -> int:
    """Scores, writes if asked to, and prints."""
    from eval.commands.scoring import score_predictions
    from eval.commands.showing import show
    from eval.report.report import write_report

    report, results = score_predictions(args)
    if args.out is not None:
        write_report(args.out, report, results, args.html_samples)
    show(report, args.out, as_json=args.json)
    return 0
