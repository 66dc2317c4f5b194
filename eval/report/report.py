"""The report of a run: report.json, report.md and report.html."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval.report.header import Header
from eval.report.html import write_page
from eval.report.markdown import long_report
from eval.report.published import PublishedRow, published_for
from eval.report.run_facts import RunFacts
from eval.report.scores import GroupScores, score_groups
from eval.results import Result
from lisa.data.faults import Fault
from lisa.errors import ConfigError

SCHEMA_VERSION = 1
JSON, MARKDOWN, PAGE = "report.json", "report.md", "report.html"


@dataclass(frozen=True)
class Report:
    """Everything that a reader needs to believe the numbers, and the numbers.

    Attributes:
        header: What was asked of whom, and how.
        groups: Scores of the system, by group of questions.
        baselines: The same for answers that need no model, by name.
        published: What papers say of the same benchmark; not measured here.
        damaged: Pictures that could not be asked about, none of whose questions count.
        unanswered: Keys of questions that a file of another system does not answer; they count as
            answers without a mask.
        run: What the run cost; None where it is not known.
    """

    header: Header
    groups: Mapping[str, GroupScores]
    baselines: Mapping[str, Mapping[str, GroupScores]]
    published: tuple[PublishedRow, ...]
    damaged: tuple[Fault, ...]
    unanswered: tuple[str, ...]
    run: RunFacts | None

    @classmethod
    def of_others(cls, header: Header, scores: GroupScores) -> Report:
        """Return a report about answers that are no masks."""
        name = header.benchmark
        return cls(header, {name: scores}, {}, published_for(name), (), (), None)

    def beside(self, group: str, subset: str | None) -> list[GroupScores]:
        """Return the scores of each baseline on a group, or on a subset of one."""
        found = []
        for groups in self.baselines.values():
            scores = groups.get(group)
            if scores is not None and subset is not None:
                scores = scores.subsets.get(subset)
            found.append(GroupScores(0, {}, {}) if scores is None else scores)
        return found

    def to_record(self) -> dict[str, Any]:
        """Return the report as a JSON-ready record."""
        return {
            "schema_version": SCHEMA_VERSION,
            "asked": self.header.to_record(),
            "groups": _records(self.groups),
            "baselines": {name: _records(groups) for name, groups in self.baselines.items()},
            "published": [asdict(row) for row in self.published],
            "damaged": [asdict(fault) for fault in self.damaged],
            "unanswered": list(self.unanswered),
            "run": None if self.run is None else self.run.to_record(),
        }


def _records(groups: Mapping[str, GroupScores]) -> dict[str, Any]:
    return {name: scores.to_record() for name, scores in groups.items()}


def make_report(
    header: Header,
    results: Sequence[Result],
    *,
    baselines: Mapping[str, Sequence[Result]],
    damaged: Iterable[Fault] = (),
    unanswered: Iterable[str] = (),
    run: RunFacts | None = None,
) -> Report:
    """Score answers.

    Args:
        header: What they belong to.
        results: Of the system.
        baselines: Of answers that need no model, by name.
        damaged: Pictures that could not be asked about.
        unanswered: Questions without an answer of the system.
        run: What the run cost.

    Raises:
        DataError: If a question is answered twice, or masks that are needed are damaged.
    """
    return Report(
        header,
        score_groups(results, header.families),
        {name: score_groups(found, header.families) for name, found in baselines.items()},
        published_for(header.benchmark),
        tuple(damaged),
        tuple(unanswered),
        run,
    )


def write_report(folder: Path, report: Report, results: Sequence[Result], samples: int) -> None:
    """Write the three files of a report, each whole or not at all.

    Args:
        folder: Is made if it is not there.
        report: Of these results.
        results: Of the system.
        samples: Most samples with pictures in the page, worst first.

    Raises:
        ConfigError: If the folder cannot be written to.
    """
    text = json.dumps(report.to_record(), indent=1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / JSON, text + "\n")
        _write(folder / MARKDOWN, long_report(report) + "\n")
        _write(folder / PAGE, write_page(report, results, samples))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise ConfigError(f"the report cannot be written to {str(folder)!r}: {reason}.") from error


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8", errors="replace")
    os.replace(fresh, path)


def read_run(folder: Path) -> RunFacts | None:
    """Return what the run of an earlier report cost; None if there is none."""
    path = folder / JSON
    try:
        return RunFacts(**json.loads(path.read_text(encoding="utf-8"))["run"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
