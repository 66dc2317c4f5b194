"""Asks a pipeline about records, and goes on when one of them is damaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tqdm import tqdm

from eval.answers import Progress, picture_results
from eval.data_sets import RecordPicture, RecordPlace, questions_of
from eval.prediction_log import PredictionLog
from eval.results import Result
from lisa.data.check import place_of
from lisa.data.faults import DamagedRecord, Fault
from lisa.data.wordings import Wording
from lisa.errors import LisaError

if TYPE_CHECKING:
    from lisa.pipeline import LisaPipeline


@dataclass(frozen=True)
class Evaluation:
    """What was asked; those of several processes are joined by joining their parts.

    Attributes:
        results: Scored answers.
        damaged: Records that could not be asked about, none of whose questions count.
    """

    results: tuple[Result, ...]
    damaged: tuple[Fault, ...]


def evaluate(
    pipeline: LisaPipeline,
    places: Sequence[RecordPlace],
    wording: Wording,
    *,
    max_new_tokens: int,
    name: str,
    show: bool = True,
) -> Evaluation:
    """Ask about records with the protocol *generate*.

    Args:
        pipeline: What is evaluated.
        places: The records.
        wording: How names and sentences are asked for.
        max_new_tokens: Most tokens of an answer.
        name: Stands before the progress bar.
        show: Whether the bar is drawn.
    """
    results: list[Result] = []
    damaged: list[Fault] = []
    log = PredictionLog(None, {})
    with Progress(name, len(places), "picture", show=show) as progress:
        for place in places:
            try:
                picture = read_picture(place, wording)
                found = picture_results(pipeline, picture, log, name, max_new_tokens)
            except LisaError as error:
                damaged.append(_fault(place, error))
                tqdm.write(f"left out: {damaged[-1]}")
            else:
                results += found
                progress.show(found)
            progress.advance()
    return Evaluation(tuple(results), tuple(damaged))


def read_picture(place: RecordPlace, wording: Wording) -> RecordPicture:
    """Read a record and make questions of it.

    Raises:
        DataError: If it is damaged.
    """
    reader = place.data_set.reader
    return questions_of(reader[place.index], place.data_set.name, reader.task, wording)


def _fault(place: RecordPlace, error: LisaError) -> Fault:
    data_set = place.data_set
    if isinstance(error, DamagedRecord):
        return Fault(f"{data_set.name}, {error.place}", error.problems[0])
    return Fault(f"{data_set.name}, {place_of(data_set.reader, place.index)}", str(error))
