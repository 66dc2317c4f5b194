"""Opens benchmarks and asks a model one of them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eval.benchmarks import Benchmark, open_benchmark, takes_data
from eval.commands.limited import limited
from eval.commands.own_wording import model_folder
from eval.outside.own_file import PREDICTIONS, baseline_file, write_answers
from eval.prediction_log import PredictionLog
from eval.processes import Processes
from eval.protocols import ProtocolName
from eval.questions import Picture
from eval.report.header import Header
from eval.report.run_facts import (
    RunFacts,
    device_peak_bytes,
    host_peak_bytes,
    library_versions,
    weights_id,
)
from eval.results import Result
from eval.runner import RunSettings
from eval.runner import run as run_questions
from lisa.data.faults import Fault
from lisa.data.wordings import Wording
from lisa.errors import ConfigError

if TYPE_CHECKING:
    from lisa.pipeline import LisaPipeline


@dataclass(frozen=True)
class Asked:
    """What a model answered.

    Attributes:
        header: What was asked, and how.
        results: Judged answers, in the order of the questions.
        baselines: Answers that need no model, by name.
        damaged: Pictures that could not be asked about.
        run: What it cost.
    """

    header: Header
    results: tuple[Result, ...]
    baselines: dict[str, list[Result]]
    damaged: tuple[Fault, ...]
    run: RunFacts


def open_all(names: Sequence[str], data: Path | None, wording: Wording) -> list[Benchmark]:
    """Open benchmarks; `--data` is given to those that take it.

    Raises:
        ConfigError: If a name or the data's folder is wrong, or a benchmark is named twice.
        DataError: If data are missing or damaged.
    """
    found: list[Benchmark] = []
    for name in names:
        own = data if len(names) == 1 or takes_data(name) else None
        found += open_benchmark(name, own, wording)
    twice = sorted({one.name for one in found if sum(one.name == o.name for o in found) > 1})
    if twice:
        raise ConfigError(f"{twice[0]} is named twice: name each benchmark once.")
    return found


def protocol_of(args: argparse.Namespace) -> ProtocolName:
    """Return the protocol that the command line names."""
    return "generate" if args.protocol == "generate" else "teacher_forced"


def ask_benchmark(
    pipeline: LisaPipeline,
    benchmark: Benchmark,
    folder: Path,
    wording: str,
    processes: Processes,
    args: argparse.Namespace,
) -> Asked:
    """Ask a model all questions of a benchmark, except those that are answered already.

    Args:
        pipeline: The model.
        benchmark: What is asked.
        folder: Where the answers are written.
        wording: Name of the wording.
        processes: That share the pictures.
        args: Of the command line.
    """
    pictures = limited(benchmark.pictures, args.limit)
    header = _header(pipeline, benchmark, wording, args)
    path = folder / PREDICTIONS
    settings = RunSettings(
        protocol=protocol_of(args),
        batch_size=args.batch_size,
        max_new_tokens=args.max_new_tokens or benchmark.max_new_tokens,
    )
    began = time.perf_counter()
    with PredictionLog(path, header.to_record(), args.resume and path.is_file(), processes) as log:
        found = run_questions(pipeline, pictures, log, settings, name=benchmark.name)
    seconds = time.perf_counter() - began
    device = str(pipeline.model.device)
    run = RunFacts(
        round(seconds, 3),
        round(sum(result.seconds for result in found.results), 3),
        host_peak_bytes(),
        device_peak_bytes(device),
        processes.count,
        args.batch_size,
        device,
        library_versions(),
    )
    baselines = _baselines(benchmark, pictures, header, folder) if processes.is_main else {}
    return Asked(header, tuple(found.results), baselines, tuple(found.damaged), run)


def _header(
    pipeline: LisaPipeline, benchmark: Benchmark, wording: str, args: argparse.Namespace
) -> Header:
    # Packed weights may be of another type than what is around them.
    own = str(pipeline.model.dtype).removeprefix("torch.")
    loading = {"number type": own if args.dtype == "auto" else args.dtype}
    options = ("segmenter_dtype", "template", "vision_tower")
    loading |= {name: str(getattr(args, name)) for name in options if getattr(args, name)}
    if args.load_in_4bit or args.load_in_8bit:
        loading["quantised"] = "4bit" if args.load_in_4bit else "8bit"
    return Header(
        benchmark=benchmark.name,
        task=benchmark.task,
        families=tuple(benchmark.families),
        source=benchmark.source,
        protocol=protocol_of(args),
        system=args.model,
        weights=weights_id(model_folder(args.model, args.revision, args.offline)),
        wording=wording,
        max_new_tokens=args.max_new_tokens or benchmark.max_new_tokens,
        limit=args.limit,
        loading=loading,
    )


def _baselines(
    benchmark: Benchmark, pictures: Sequence[Picture], header: Header, folder: Path
) -> dict[str, list[Result]]:
    """Answer without a model, and keep the answers beside the model's."""
    found = {}
    for name, answer in benchmark.baselines.items():
        found[name] = answer(pictures)
        own = Header(
            header.benchmark, header.task, header.families, header.source, header.protocol, name
        )
        write_answers(folder / baseline_file(name), own, found[name])
    return found
