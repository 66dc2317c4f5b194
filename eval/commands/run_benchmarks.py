"""Asks a model the questions of benchmarks and writes a report of each.

    lisa eval nano:all
    lisa eval reasonseg:val refcoco:* --data dataset --model xinlai/LISA-7B-v1 --dtype bfloat16

On several GPUs: accelerate launch --num_processes 8 -m lisa.cli eval NAME ..., or torchrun.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lisa.commands.segment import add_model_arguments, model_arguments
from lisa.errors import ConfigError

if TYPE_CHECKING:
    from eval.benchmarks import Benchmark
    from eval.commands.asking import Asked

PROTOCOLS = ("generate", "teacher-forced")
OUT = Path("runs/eval")
HTML_SAMPLES = 200
BATCH_SIZE = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of a run."""
    parser.add_argument("names", nargs="+", metavar="NAME", help="benchmarks, or your own data")
    add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a run."""
    parser.add_argument("--data", type=Path, metavar="DIR", help="where the data sets lie")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"default: {OUT}/MODEL/NAME; several names: DIR/NAME",
    )
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default=PROTOCOLS[0],
        help="generate: the model writes its own answers, as users get them (the default); "
        "teacher-forced: it is told the answer's words, as the paper's validation did",
    )
    parser.add_argument(
        "--wording",
        metavar="NAME",
        help="words around names and sentences: lisa or nano (default: nano for models that have "
        "lisa-nano's segmenter, else lisa)",
    )
    parser.add_argument(
        "--batch-size", type=positive, default=BATCH_SIZE, metavar="N", help="default: %(default)s"
    )
    parser.add_argument("--max-new-tokens", type=positive, metavar="N", help="longest answer")
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="at most N questions of a group, evenly spread"
    )
    parser.add_argument("--resume", action="store_true", help="go on with what --out holds")
    parser.add_argument(
        "--json", action="store_true", help="print report.json in a line, not the table"
    )
    add_samples(parser)
    add_model_arguments(parser)


def add_samples(parser: argparse.ArgumentParser) -> None:
    """Adds --html-samples, which every command that writes a page has."""
    parser.add_argument(
        "--html-samples",
        type=positive,
        default=HTML_SAMPLES,
        metavar="N",
        help="samples with pictures in report.html, worst first (default: %(default)s)",
    )


def positive(text: str) -> int:
    """Read a whole number above zero."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Asks, scores, writes and prints."""
    from eval.commands.asking import ask_benchmark, open_all
    from eval.commands.own_wording import choose_wording
    from eval.outside.own_file import PREDICTIONS
    from eval.processes import current_processes
    from lisa.data.wordings import get_wording

    # The cheap checks come first: a wrong path should not cost a minute of loading.
    wording = choose_wording(args.wording, args.model, args.revision, args.offline)
    benchmarks = open_all(args.names, args.data, get_wording(wording))
    folders = [_folder(args, one.name, len(benchmarks)) for one in benchmarks]
    for benchmark in benchmarks:
        benchmark.require_masks()
    if args.resume and not any((folder / PREDICTIONS).is_file() for folder in folders):
        raise ConfigError(f"{str(folders[0])!r} holds no run to go on with: leave --resume out.")
    processes = current_processes(args.device)

    from lisa.pipeline import LisaPipeline

    pipeline = LisaPipeline.from_pretrained(args.model, **model_arguments(args))
    for benchmark, folder in zip(benchmarks, folders, strict=True):
        asked = ask_benchmark(pipeline, benchmark, folder, wording, processes, args)
        if processes.is_main:
            _finish(asked, benchmark, folder, args)
    return 0


def _folder(args: argparse.Namespace, benchmark: str, number: int) -> Path:
    if args.out is not None and number == 1:
        return Path(args.out)
    from eval.outside.naming import readable

    above = OUT / readable(Path(args.model).name) if args.out is None else Path(args.out)
    return above / readable(benchmark)


def _finish(asked: Asked, benchmark: Benchmark, folder: Path, args: argparse.Namespace) -> None:
    from eval.commands.showing import show
    from eval.report.report import make_report, write_report

    report = make_report(
        asked.header,
        asked.results,
        baselines=asked.baselines,
        damaged=asked.damaged,
        run=asked.run,
    )
    write_report(folder, report, asked.results, args.html_samples)
    show(report, folder, as_json=args.json)
