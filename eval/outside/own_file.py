"""The prediction files of our own runs, and where they lie in a run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.outside.naming import readable
from eval.prediction_log import PredictionLog, read_predictions
from eval.report.header import Header
from eval.results import Result, judge_again
from lisa.data.faults import Fault
from lisa.errors import ConfigError, DataError

PREDICTIONS = "predictions.jsonl"
_BASELINE = "baseline-"


@dataclass(frozen=True)
class Answers:
    """Answers of one system to a benchmark.

    Attributes:
        header: What was asked of whom.
        results: Judged answers.
        damaged: Pictures that could not be asked about.
        unanswered: Questions without an answer of the system; they are among the results, with the
            empty mask.
    """

    header: Header
    results: tuple[Result, ...]
    damaged: tuple[Fault, ...] = ()
    unanswered: tuple[str, ...] = ()


def baseline_file(name: str) -> str:
    """Return the name of the file that holds the answers of a baseline."""
    return f"{_BASELINE}{readable(name)}.jsonl"


def write_answers(path: Path, header: Header, results: Sequence[Result]) -> None:
    """Write a prediction file of answers that are all there."""
    with PredictionLog(path, header.to_record()) as log:
        log.append(((number, 0), result) for number, result in enumerate(results))


def find_predictions(given: Path) -> Path:
    """Return the prediction file that a file or the folder of a run stands for.

    Raises:
        ConfigError: If there is nothing.
    """
    path = given / PREDICTIONS if given.is_dir() else given
    if not path.is_file():
        runs = sorted(given.glob(f"*/{PREDICTIONS}")) if given.is_dir() else []
        if runs:
            raise ConfigError(
                f"{str(given)!r} holds several runs: give one of them, such as "
                f"{str(runs[0].parent)!r}."
            )
        raise ConfigError(f"There is no {str(path)!r}: give a run's folder or its {PREDICTIONS}.")
    return path


def read_own(path: Path) -> Answers:
    """Read a prediction file and count the agreement of its masks anew.

    Raises:
        DataError: If it is damaged, or holds no answers.
    """
    found = read_predictions(path)
    header = Header.from_record(found.header, path)
    if not found.results and not found.damaged:
        raise DataError(f"{path} holds no answers yet: let the run go on with --resume.")
    return Answers(header, tuple(judge_again(one) for one in found.results), found.damaged)


def read_baselines(folder: Path, asked: Answers) -> dict[str, tuple[Result, ...]]:
    """Read the baselines that a run kept beside its predictions.

    Of an interrupted run, only what the system has answered too is returned.
    """
    keys = {result.key for result in asked.results}
    found = {}
    for path in sorted(folder.glob(f"{_BASELINE}*.jsonl")):
        answers = read_own(path)
        if answers.header.benchmark == asked.header.benchmark:
            kept = tuple(one for one in answers.results if one.key in keys)
            found[answers.header.system] = kept
    return found
