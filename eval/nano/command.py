"""Command line of `python -m eval.nano`: asks all questions, prints a table or a JSON object."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.nano.largest_object import largest_object_results
from eval.nano.pictures import GROUPS, Picture, select_questions
from eval.nano.read_photographs import load_photographs
from eval.nano.read_scenes import load_scenes
from eval.nano.report import to_markdown
from eval.nano.worst_answers import save_worst_answers
from eval.prediction_log import PredictionLog
from eval.results import Result
from eval.runner import RunSettings, run
from eval.summary import summarise
from lisa.errors import DataError, LisaError

if TYPE_CHECKING:
    from lisa.pipeline import LisaPipeline

UNTRAINED_SEED = 0
UNTRAINED_LIMIT = 50
"""Questions of each group that the untrained model is asked by default: it takes as long as the
trained one for every answer, and its score hardly varies."""

PREDICTIONS = "predictions.jsonl"
UNTRAINED_PREDICTIONS = "untrained.jsonl"
SETTINGS = RunSettings(max_new_tokens=32)
"""Answers of `lisa-nano` have about a dozen tokens; a model that rambles is stopped."""


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.nano",
        description="Score a model on the fixed scenes and photographs in the repository.",
    )
    parser.add_argument(
        "--model", default="lisa-nano", help="name or folder (default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    parser.add_argument(
        "--only", type=_groups, default=GROUPS, metavar="GROUP,...", help=", ".join(GROUPS)
    )
    parser.add_argument(
        "--limit", type=_positive, metavar="N", help="at most N questions of each group"
    )
    parser.add_argument(
        "--untrained-limit",
        type=_positive,
        default=UNTRAINED_LIMIT,
        metavar="N",
        help="at most N of each group for the untrained model (default: %(default)s)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="keep predictions and pictures of the worst answers"
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue the interrupted run whose --out is given"
    )
    return parser


def _groups(text: str) -> tuple[str, ...]:
    names = text.split(",")
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"unknown group {unknown[0]!r}, choose from {', '.join(GROUPS)}"
        )
    return tuple(group for group in GROUPS if group in names)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above zero, not {text!r}")
    return int(text)


def main(
    argv: Sequence[str] | None = None,
    *,
    load: Callable[[argparse.Namespace], LisaPipeline] | None = None,
    load_untrained: Callable[[argparse.Namespace], LisaPipeline] | None = None,
    pictures: Sequence[Picture] | None = None,
) -> int:
    """Runs the evaluation.

    Args:
        argv: Command line; None takes the program's own.
        load: Loads the model; None loads what `--model` names.
        load_untrained: Loads the untrained baseline; None takes lisa-nano with fresh weights.
        pictures: What to ask about; None takes the repository's scenes and photographs.

    Returns:
        The exit code: 0, or 2 for a mistake that the message on stderr explains.
    """
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.resume and args.out is None:
        parser.error("--resume needs the --out of the run to continue")
    try:
        known = (*load_scenes(), *load_photographs()) if pictures is None else tuple(pictures)
        report = _evaluate(args, known, load or _load, load_untrained or _load_untrained)
    except LisaError as error:
        print(f"lisa: error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report) if args.json else to_markdown(report, args.model))
    return 0


def _evaluate(
    args: argparse.Namespace,
    known: tuple[Picture, ...],
    load: Callable[[argparse.Namespace], LisaPipeline],
    load_untrained: Callable[[argparse.Namespace], LisaPipeline],
) -> dict[str, Any]:
    asked = select_questions(known, args.only, args.limit)
    few = min(args.untrained_limit, args.limit or args.untrained_limit)
    header = {"schema_version": 2, "model": args.model, "questions": _digest(known)}
    answers = _ask(args, load, asked, PREDICTIONS, header)
    untrained = _ask(
        args,
        load_untrained,
        select_questions(known, args.only, few),
        UNTRAINED_PREDICTIONS,
        {**header, "model": "untrained"},
    )
    report: dict[str, Any] = summarise(answers, args.only)
    report["baselines"] = {
        "largest": summarise(largest_object_results(asked), args.only),
        "untrained": summarise(untrained, args.only),
    }
    if args.out is not None:
        _save(args.out, report, answers, asked, args.model)
    return report


def _ask(
    args: argparse.Namespace,
    load: Callable[[argparse.Namespace], LisaPipeline],
    pictures: Sequence[Picture],
    file: str,
    header: dict[str, Any],
) -> tuple[Result, ...]:
    """Answer with a model, except what its file holds already.

    Raises:
        DataError: If the file is not to be resumed, or a picture is damaged.
    """
    path = None if args.out is None else args.out / file
    # A run may have ended before it came to the untrained model.
    resume = args.resume and (file == PREDICTIONS or (path is not None and path.is_file()))
    with PredictionLog(path, header, resume) as log:
        found = run(load(args), pictures, log, SETTINGS, name=header["model"])
    if found.damaged:
        raise DataError(str(found.damaged[0]))
    return found.results


def _save(
    folder: Path,
    report: dict[str, Any],
    answers: Sequence[Result],
    asked: Sequence[Picture],
    model: str,
) -> None:
    (folder / "scores.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (folder / "scores.md").write_text(to_markdown(report, model) + "\n", encoding="utf-8")
    save_worst_answers(answers, asked, folder / "worst")


def _digest(pictures: Sequence[Picture]) -> str:
    digest = hashlib.sha256()
    for picture in pictures:
        digest.update(picture.sha256.encode())
        digest.update(repr((picture.questions, picture.objects)).encode())
    return digest.hexdigest()


def _load(args: argparse.Namespace) -> LisaPipeline:
    from lisa.pipeline import LisaPipeline

    return LisaPipeline.from_pretrained(args.model, device=args.device)


def _load_untrained(args: argparse.Namespace) -> LisaPipeline:
    from lisa.pipeline import LisaPipeline

    return LisaPipeline.untrained(UNTRAINED_SEED, device=args.device)
