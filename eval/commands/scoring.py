"""Reads predictions of any kind and scores them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eval.benchmarks import Benchmark, open_benchmark
from eval.benchmarks.relations import score_relations
from eval.benchmarks.saliency import score_saliency
from eval.benchmarks.tags import THRESHOLD, score_tags
from eval.commands.limited import limited
from eval.outside.coco_results import CocoResults
from eval.outside.contract import GivenMasks
from eval.outside.judging import judge_given
from eval.outside.own_file import (
    PREDICTIONS,
    Answers,
    find_predictions,
    read_baselines,
    read_own,
    write_answers,
)
from eval.outside.png_folder import PngFolder
from eval.report.header import Header
from eval.report.report import Report, make_report, read_run
from eval.report.scores import GroupScores
from eval.results import Result
from lisa.data.wordings import get_wording
from lisa.errors import ConfigError

_ANY_WORDING = "lisa"
"""The words of questions that were asked elsewhere are not known, and change no score."""


def score_predictions(args: argparse.Namespace) -> tuple[Report, Sequence[Result]]:
    """Score what the command line names.

    Returns:
        The report, and the results behind it (none for tags, relations and saliency).

    Raises:
        LisaError: If predictions or data are missing, damaged or of another kind.
    """
    if args.benchmark is None:
        return _score_own(args)
    given: Path = args.predictions
    if not given.exists():
        raise ConfigError(f"There is no {str(given)!r}: check the path of the predictions.")
    opened = open_benchmark(args.benchmark, args.data, get_wording(_ANY_WORDING))
    if len(opened) != 1:
        names = ", ".join(one.name for one in opened)
        raise ConfigError(f"{args.benchmark!r} stands for {names}: name one of them.")
    benchmark = opened[0]
    system = args.system or given.name
    if benchmark.task != "masks":
        return _score_others(benchmark, given, system, args), ()
    if given.suffix == ".jsonl":
        raise ConfigError(f"{str(given)!r} says itself what was asked: leave --benchmark out.")
    return _score_masks(benchmark, given, system, args)


def _score_own(args: argparse.Namespace) -> tuple[Report, Sequence[Result]]:
    for name in ("data", "threshold", "limit"):
        if getattr(args, name) is not None:
            raise ConfigError(f"--{name} goes with --benchmark: a run's own file needs neither.")
    path = find_predictions(args.predictions)
    answers = read_own(path)
    if args.system is not None:
        answers = replace(answers, header=replace(answers.header, system=args.system))
    report = make_report(
        answers.header,
        answers.results,
        baselines=read_baselines(path.parent, answers),
        damaged=answers.damaged,
        run=read_run(path.parent),
    )
    return report, answers.results


def _header(benchmark: Benchmark, system: str, limit: int | None = None) -> Header:
    return Header(
        benchmark=benchmark.name,
        task=benchmark.task,
        families=tuple(benchmark.families),
        source=benchmark.source,
        protocol="generate",
        system=system,
        limit=limit,
    )


def _score_masks(
    benchmark: Benchmark, given: Path, system: str, args: argparse.Namespace
) -> tuple[Report, Sequence[Result]]:
    threshold = _number(args.threshold)
    masks: GivenMasks
    if given.is_dir():
        if threshold is not None:
            raise ConfigError("--threshold has no use for PNG masks: leave it out.")
        masks = PngFolder(given)
    else:
        masks = CocoResults(given, 0.0 if threshold is None else threshold)
    pictures = limited(benchmark.pictures, args.limit)
    answers = judge_given(masks, pictures, _header(benchmark, system, args.limit))
    if args.out is not None:
        _keep(answers, args.out)
    report = make_report(
        answers.header,
        answers.results,
        baselines={name: answer(pictures) for name, answer in benchmark.baselines.items()},
        damaged=answers.damaged,
        unanswered=answers.unanswered,
    )
    return report, answers.results


def _keep(answers: Answers, folder: Path) -> None:
    """Keep judged masks as our own runs do, so that they can be compared."""
    write_answers(folder / PREDICTIONS, answers.header, answers.results)


def _score_others(
    benchmark: Benchmark, given: Path, system: str, args: argparse.Namespace
) -> Report:
    if args.limit is not None:
        raise ConfigError(f"--limit has no use for {benchmark.name}: leave it out.")
    if args.threshold is not None and benchmark.task != "tags":
        raise ConfigError(f"--threshold has no use for {benchmark.name}: leave it out.")
    if benchmark.task == "tags":
        path = Path(args.threshold) if args.threshold is not None else None
        is_file = path is not None and path.is_file()
        number = THRESHOLD if is_file else _number(args.threshold)
        chosen = path if is_file and path is not None else number
        figures = score_tags(benchmark, given, THRESHOLD if chosen is None else chosen)
    elif benchmark.task == "relations":
        figures = score_relations(benchmark, given)
    else:
        figures = score_saliency(benchmark, given)
    scores = GroupScores(len(benchmark.pictures), {benchmark.task: figures}, {})
    return Report.of_others(_header(benchmark, system), scores)


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--threshold {text!r} is no number and no file.") from None
