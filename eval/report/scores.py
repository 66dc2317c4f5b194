"""Figures of results, group by group and family by family, each with its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eval.metrics import (
    Figure,
    GroupRecord,
    InstanceRecord,
    MaskRecord,
    Measurement,
    ScoredInstance,
    TrueInstance,
    average_precision_measurement,
    gres_mask_measurement,
    group_measurement,
    mask_measurement,
    ref_zom_measurement,
    with_intervals,
)
from eval.results import Result
from lisa.errors import DataError

MASKS = "masks"


@dataclass(frozen=True)
class GroupScores:
    """What is known of a group of questions.

    Attributes:
        n: Number of answers.
        figures: By family; `masks` is always there for questions that are answered with masks.
        subsets: The same for each subset of the group.
    """

    n: int
    figures: Mapping[str, tuple[Figure, ...]]
    subsets: Mapping[str, GroupScores]

    def find(self, family: str, name: str) -> Figure:
        """Return a figure; one without a value if it is not there."""
        for figure in self.figures.get(family, ()):
            if figure.name == name:
                return figure
        return Figure(name, None)

    def to_record(self) -> dict[str, Any]:
        """Return the scores as a JSON-ready record."""
        return asdict(self)


def score_groups(results: Iterable[Result], families: Sequence[str]) -> dict[str, GroupScores]:
    """Score each group by itself, in the order in which they first occur.

    Args:
        results: Answers of one system.
        families: Scores beyond those that all masks have.

    Raises:
        DataError: If a question is answered twice, or masks that are needed are damaged.
    """
    by_group: dict[str, list[Result]] = {}
    for result in results:
        by_group.setdefault(result.group, []).append(result)
    scored = {}
    for group, answers in by_group.items():
        names = sorted({name for answer in answers for name in answer.subsets})
        subsets = {
            name: GroupScores(len(part), _figures(part, families), {})
            for name in names
            for part in ([answer for answer in answers if name in answer.subsets],)
        }
        scored[group] = GroupScores(len(answers), _figures(answers, families), subsets)
    return scored


def _figures(results: Sequence[Result], families: Sequence[str]) -> dict[str, tuple[Figure, ...]]:
    return {one: with_intervals(measure(one, results)) for one in (MASKS, *families)}


def measure(family: str, results: Iterable[Result]) -> Measurement:
    """Measure the figures of one family over answers.

    Args:
        family: `masks`, or one of `eval.benchmarks.contract.MaskFamily`.
        results: Answers of one system.

    Raises:
        DataError: If there is no such family, a question is answered twice, or what the family
            needs is missing or damaged.
    """
    if family not in _MEASURED:
        raise DataError(f"There are no scores {family!r}: the file is of another version.")
    return _MEASURED[family](list(results))


def _mask_record(result: Result) -> MaskRecord:
    return MaskRecord(
        result.key, result.picture, result.counts, result.predicted_pixels, result.pointed
    )


def _masks(results: Sequence[Result]) -> Measurement:
    return mask_measurement(map(_mask_record, results))


def _gres(results: Sequence[Result]) -> Measurement:
    return gres_mask_measurement(map(_mask_record, results))


def _ref_zom(results: Sequence[Result]) -> Measurement:
    return ref_zom_measurement(map(_mask_record, results))


def _groups(results: Sequence[Result]) -> Measurement:
    records = []
    for result in results:
        if result.cohort is None:
            raise DataError(f"{result.key} belongs to no group of pictures: the file is damaged.")
        group, _, expression = result.cohort.rpartition("/")
        records.append(GroupRecord(_mask_record(result), group, expression))
    return group_measurement(records)


def _instances(results: Sequence[Result]) -> Measurement:
    return average_precision_measurement(map(_instance_record, results))


def _instance_record(result: Result) -> InstanceRecord:
    if result.masks is None:
        raise DataError(f"The masks of {result.key} were not kept: AP cannot be worked out.")
    return InstanceRecord(
        result.key,
        tuple(TrueInstance(region) for region in result.masks.regions),
        tuple(ScoredInstance(one.mask, one.score) for one in result.masks.segments),
        result.picture,
    )


_MEASURED: dict[str, Callable[[Sequence[Result]], Measurement]] = {
    MASKS: _masks,
    "gres": _gres,
    "ref_zom": _ref_zom,
    "groups": _groups,
    "instances": _instances,
}
