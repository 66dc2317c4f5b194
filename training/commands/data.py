"""Looks at data before anything is learnt from it.

    lisa data check data.yaml
    lisa data check cups.jsonl --json
    lisa data show cups.jsonl -n 8 --out cups.png

PATH is a registry of data sets (YAML), a JSONL file, a COCO JSON, a folder of LabelMe files, a
`datasets` folder, or, with --format, any data set that can be read. `check` reads every record,
picture and mask, lists everything that is wrong with its place, and ends with exit code 2 if
anything is; it also finds pictures that stand in both training and validation. `show` draws
samples as a run draws them, with their masks, questions and answers.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from typing import TYPE_CHECKING, Any, TextIO

from lisa.errors import ConfigError, LisaError

if TYPE_CHECKING:
    from lisa.data.faults import Fault
    from lisa.data.readers import Reader
    from lisa.data.registry import DataSetEntry, Registry
    from training.samples import Sample, SampleSettings

HELP = "check a data set, or show samples of it"
EXIT_FAULTS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `check` and `show`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="list everything that is wrong")
    show = actions.add_parser("show", help="write a picture grid of samples")
    for action in (check, show):
        action.add_argument("path", metavar="PATH", help="a registry (YAML) or a data set")
        action.add_argument("--format", metavar="NAME", help="of the data set, instead of a guess")
        action.add_argument("--split", metavar="NAME", help="of the data set")
        # `lisa --debug data check` as well as `lisa data check --debug`.
        action.add_argument("--debug", action="store_true", default=argparse.SUPPRESS)
    check.add_argument("--json", action="store_true", help="print the result as JSON")
    show.add_argument("-n", type=int, default=8, metavar="N", help="samples (default: %(default)s)")
    show.add_argument("--out", default="samples.png", metavar="FILE", help="default: %(default)s")
    show.add_argument(
        "--wording", default="lisa", metavar="NAME", help="of the questions (default: %(default)s)"
    )
    show.add_argument("--columns", type=int, default=4, metavar="N", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Checks or shows."""
    return _check(args) if args.action == "check" else _show(args)


def _check(args: argparse.Namespace) -> int:
    from lisa.data.check import check_reader, shared_pictures
    from lisa.data.faults import Fault
    from lisa.data.formats import registry_at

    registry, faults = registry_at(args.path, args.format, args.split)
    report: dict[str, Any] = {"data_sets": [], "faults": []}
    for fault in faults:
        _tell(report, args, "registry", fault)
    opened: dict[str, list[Reader]] = {"training": [], "validation": []}
    for role, entry in _entries(registry):
        try:
            reader = entry.open()
        except LisaError as error:
            _describe(report, entry, role, None, 1)
            _tell(report, args, entry.name, Fault(str(entry.path), str(error)))
            continue
        opened[role].append(reader)
        count = 0
        for fault in check_reader(reader):
            count += 1
            _tell(report, args, entry.name, fault)
        _describe(report, entry, role, len(reader), count)
    for fault in shared_pictures(opened["training"], opened["validation"]):
        _tell(report, args, "validation", fault)
    if args.json:
        print(json.dumps(report, indent=1))
    else:
        print(_summary(report))
    return EXIT_FAULTS if report["faults"] else 0


def _entries(registry: Registry) -> list[tuple[str, DataSetEntry]]:
    return [
        *(("training", entry) for entry in registry.data_sets),
        *(("validation", entry) for entry in registry.validation),
    ]


def _tell(report: dict[str, Any], args: argparse.Namespace, data_set: str, fault: Fault) -> None:
    report["faults"].append({"data_set": data_set, "place": fault.place, "message": fault.message})
    if not args.json:  # at once: a large data set takes a while
        _say(str(fault))


def _say(text: str, stream: TextIO | None = None) -> None:
    # Names and labels of a data set must not steer the terminal.
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    print(shown, file=stream)


def _describe(
    report: dict[str, Any], entry: DataSetEntry, role: str, records: int | None, faults: int
) -> None:
    report["data_sets"].append(
        {
            "name": entry.name,
            "role": role,
            "format": entry.format,
            "path": str(entry.path),
            "split": entry.split,
            "records": records,
            "faults": faults,
        }
    )


def _summary(report: dict[str, Any]) -> str:
    lines = []
    for one in report["data_sets"]:
        records = "not opened" if one["records"] is None else _count(one["records"], "record")
        lines.append(
            f"{one['name']} ({one['role']}, {one['format']}): {records}, "
            f"{_count(one['faults'], 'problem')}"
        )
    total = len(report["faults"])
    return "\n".join([*lines, f"{_count(total, 'problem')} in all" if total else "All is well."])


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _show(args: argparse.Namespace) -> int:
    from lisa.data.formats import registry_at
    from training.commands.data_grid import draw_samples
    from training.samples import SampleSettings

    if args.n < 1 or args.columns < 1:
        raise ConfigError("-n and --columns must be 1 or more.")
    registry, faults = registry_at(args.path, args.format, args.split)
    if faults:
        raise ConfigError(str(faults[0]))
    settings = SampleSettings(args.wording)
    samples = _samples([entry.open() for _, entry in _entries(registry)], args.n, settings)
    if not samples:
        raise ConfigError(f"no record of {args.path!r} can be read: run `lisa data check` on it.")
    grid = draw_samples(samples, args.columns)
    try:
        grid.save(args.out)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise ConfigError(f"--out {args.out!r} cannot be written: {reason}.") from error
    print(f"Wrote {_count(len(samples), 'sample')} to {args.out}")
    return 0


def _samples(readers: list[Reader], number: int, settings: SampleSettings) -> list[Sample]:
    """Draw samples, spread over all data sets and over each; damaged records are told."""
    from lisa.data.check import place_of, problems_of
    from lisa.data.spread import spread
    from training.samples import draw_sample

    samples: list[Sample] = []
    for position, reader in enumerate(readers):
        share = -(-(number - len(samples)) // (len(readers) - position))
        for index in spread(len(reader), share):
            try:
                record = reader[index]
                problems = problems_of(record)
                sample = draw_sample(record, reader.task, settings, random.Random(index))
            except LisaError as error:
                _say(f"left out: {error}", sys.stderr)
                continue
            if problems:
                _say(f"left out: {place_of(reader, index, record)}: {problems[0]}", sys.stderr)
            else:
                samples.append(sample)
    return samples
