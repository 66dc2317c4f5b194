"""Two systems that were asked the same: which samples changed, and whether that is chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eval.metrics import Difference, paired_differences
from eval.outside.own_file import Answers
from eval.report.header import Header
from eval.report.scores import MASKS, measure
from eval.results import Result
from lisa.errors import ConfigError, DataError

SIGNIFICANT = 0.05
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Change:
    """A sample whose IoU is another one.

    Attributes:
        key: Of the question.
        group: Of the question.
        question: In words.
        first: IoU of the first system's answer.
        second: IoU of the second system's answer.
        answers: What the two said; None for a system that says nothing.
    """

    key: str
    group: str
    question: str | None
    first: float
    second: float
    answers: tuple[str | None, str | None]

    @property
    def gain(self) -> float:
        """How much better the second answer is, in [-1, 1]."""
        return self.second - self.first


@dataclass(frozen=True)
class GroupComparison:
    """A group of questions that both systems answered.

    Attributes:
        n: Number of questions.
        better: How many the second system answered with a higher IoU.
        worse: How many with a lower one.
        differences: Of every figure, by family.
    """

    n: int
    better: int
    worse: int
    differences: dict[str, tuple[Difference, ...]]

    @property
    def same(self) -> int:
        """How many have the same IoU."""
        return self.n - self.better - self.worse

    def find(self, family: str, name: str) -> Difference:
        """Return the difference of a figure; one without values if it is not there."""
        for difference in self.differences.get(family, ()):
            if difference.name == name:
                return difference
        return Difference(name, None, None, None, None, None, None, 0)

    @property
    def verdict(self) -> str:
        """What the difference in gIoU means, in words."""
        found = self.find(MASKS, "gIoU")
        if not self.better and not self.worse:
            return f"no difference: all {self.n} answers have the same IoU."
        if found.difference is None or found.p is None or found.low is None or found.high is None:
            return "too few pictures to tell a difference from chance."
        told = (
            f"gIoU {found.difference:+.3f} (95 % interval {found.low:+.3f} to {found.high:+.3f}, "
            f"p = {found.p:.3f})."
        )
        if found.p >= SIGNIFICANT:
            return f"no difference beyond chance: {told}"
        return f"B is {'better' if found.difference > 0 else 'worse'} than A: {told}"


@dataclass(frozen=True)
class Comparison:
    """Two systems, sample by sample.

    Attributes:
        first: What the first system was asked, and how.
        second: The same for the second one.
        groups: Of questions that both answered.
        changes: Samples whose IoU differs, the largest change first.
        only_first: Keys of questions that only the first one answered.
        only_second: Keys of questions that only the second one answered.
    """

    first: Header
    second: Header
    groups: dict[str, GroupComparison]
    changes: tuple[Change, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    def to_record(self) -> dict[str, Any]:
        """Return the comparison as a JSON-ready record."""
        verdicts = {name: group.verdict for name, group in self.groups.items()}
        return {"schema_version": SCHEMA_VERSION, **asdict(self), "verdicts": verdicts}


def compare_answers(first: Answers, second: Answers) -> Comparison:
    """Compare two systems on the questions that both answered.

    Raises:
        ConfigError: If they were asked different benchmarks, or in different protocols.
        DataError: If they have no question in common, or another right answer to the same one.
    """
    _check_alike(first.header, second.header)
    answers = [{one.key: one for one in side.results} for side in (first, second)]
    shared = [key for key in answers[0] if key in answers[1]]
    if not shared:
        raise DataError("The two files have no question in common: nothing can be compared.")
    pairs = [(answers[0][key], answers[1][key]) for key in shared]
    for one, other in pairs:
        _check_same_truth(one, other)
    groups: dict[str, list[tuple[Result, Result]]] = {}
    for pair in pairs:
        groups.setdefault(pair[0].group, []).append(pair)
    changes = [_change(one, other) for one, other in pairs if one.counts.iou != other.counts.iou]
    return Comparison(
        first.header,
        second.header,
        {name: _compare_group(some, first.header.families) for name, some in groups.items()},
        tuple(sorted(changes, key=lambda one: (-abs(one.gain), one.key))),
        tuple(key for key in answers[0] if key not in answers[1]),
        tuple(key for key in answers[1] if key not in answers[0]),
    )


def _check_alike(first: Header, second: Header) -> None:
    for what in ("benchmark", "protocol"):
        values = [str(getattr(one, what)).replace("_", "-") for one in (first, second)]
        if values[0] != values[1]:
            raise ConfigError(
                f"A has the {what} {values[0]} and B {values[1]}: only runs of the same {what} can "
                "be compared."
            )
    if first.families != second.families:
        raise ConfigError(
            f"A is scored by {', '.join(first.families) or 'masks'} and B by "
            f"{', '.join(second.families) or 'masks'}: run both with the same version."
        )


def _check_same_truth(one: Result, other: Result) -> None:
    if one.masks is None or other.masks is None:
        alike = one.counts.target == other.counts.target
    else:
        alike = (one.masks.size, one.masks.regions, one.masks.ignore) == (
            other.masks.size,
            other.masks.regions,
            other.masks.ignore,
        )
    if not alike:
        raise DataError(
            f"The right answer to {one.key} differs between A and B: run both on the same copy of "
            "the data."
        )


def _compare_group(
    pairs: Sequence[tuple[Result, Result]], families: Sequence[str]
) -> GroupComparison:
    first, second = [one for one, _ in pairs], [other for _, other in pairs]
    gains = [other.counts.iou - one.counts.iou for one, other in pairs]
    differences = {
        family: paired_differences(measure(family, first), measure(family, second))
        for family in (MASKS, *families)
    }
    better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    return GroupComparison(len(pairs), better, worse, differences)


def _change(one: Result, other: Result) -> Change:
    said = (one.answer, other.answer)
    return Change(one.key, one.group, one.question, one.counts.iou, other.counts.iou, said)
