"""Two runs, sample by sample."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.outside.own_file import Answers
from eval.report.compare import compare_answers
from eval.report.compare_markdown import comparison_text
from eval.results import Result
from lisa.errors import ConfigError, DataError
from tests.unit.eval.report.reports import HEADER, result


def asked(*given: int | None, picture_each: bool = True) -> tuple[Result, ...]:
    """Answers to questions about pictures of their own, `given` columns where ten are right."""
    answers = [result(f"q/{number:03}", columns) for number, columns in enumerate(given)]
    return tuple(replace(one, picture=one.key if picture_each else "one") for one in answers)


def answers(*given: int | None, **header: object) -> Answers:
    return Answers(replace(HEADER, **header), asked(*given))


def test_changes_are_named_the_largest_first():
    found = compare_answers(answers(10, 5, 5, None), answers(10, 9, 0, 8, system="other"))
    group = found.groups["naming"]
    assert (group.n, group.better, group.worse, group.same) == (4, 2, 1, 1)
    assert [(one.key, round(one.gain, 3)) for one in found.changes] == [
        ("q/003", 0.8),
        ("q/002", -0.5),
        ("q/001", 0.4),
    ]
    text = comparison_text(found, 2)
    assert "| +0.800 | 0.000 | 0.800 | q/003 |" in text
    assert "## The 2 largest changes" in text
    assert "q/001" not in text
    assert "| naming | 4 | 2 | 1 | 1 |" in text
    assert "| system | a model | other |" in text
    json.dumps(found.to_record())


def test_a_clear_difference_and_a_chance_one():
    first = answers(*[4] * 40)
    found = compare_answers(first, answers(*[8] * 40)).groups["naming"]
    assert found.verdict.startswith("B is better than A: gIoU +0.400")
    assert found.find("masks", "gIoU").p < 0.01
    worse = compare_answers(answers(*[8] * 40), first).groups["naming"]
    assert worse.verdict.startswith("B is worse than A: gIoU -0.400")
    mixed = [4 if number % 2 else 6 for number in range(40)]
    other = [6 if number % 2 else 4 for number in range(40)]
    chance = compare_answers(answers(*mixed), answers(*other)).groups["naming"]
    assert chance.verdict.startswith("no difference beyond chance: gIoU +0.000")
    assert chance.better == chance.worse == 20


def test_one_picture_cannot_tell_a_difference_from_chance():
    first = Answers(HEADER, asked(4, 5, picture_each=False))
    second = Answers(HEADER, asked(8, 9, picture_each=False))
    found = compare_answers(first, second)
    assert found.groups["naming"].verdict.startswith("too few pictures")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 20)), min_size=1, max_size=12))
def test_a_run_equals_itself(given: list[int | None]):
    found = compare_answers(answers(*given), answers(*given))
    assert found.changes == ()
    assert found.groups["naming"].verdict == (
        f"no difference: all {len(given)} answers have the same IoU."
    )


def test_samples_of_one_side_are_named_and_left_out():
    found = compare_answers(answers(10, 5, 3), answers(10))
    assert found.only_first == ("q/001", "q/002")
    assert found.groups["naming"].n == 1
    assert "Only A answered 2 questions, left out here: q/001, q/002." in comparison_text(found, 5)
    many = compare_answers(answers(10), answers(*[10] * 9))
    assert "q/001, q/002, q/003, q/004, q/005 and 3 more." in comparison_text(many, 5)


def test_only_what_was_asked_alike_is_compared():
    first = answers(10)
    with pytest.raises(ConfigError, match="A has the benchmark own:cups and B own:mugs"):
        compare_answers(first, answers(10, benchmark="own:mugs"))
    with pytest.raises(ConfigError, match="A has the protocol generate and B teacher-forced"):
        compare_answers(first, answers(10, protocol="teacher_forced"))
    with pytest.raises(ConfigError, match="A is scored by masks and B by gres"):
        compare_answers(first, answers(10, families=("gres",)))
    other = replace(result("q/000", 10, right=12), picture="q/000")
    with pytest.raises(DataError, match="right answer to q/000 differs"):
        compare_answers(first, Answers(HEADER, (other,)))
    with pytest.raises(DataError, match="no question in common"):
        compare_answers(first, Answers(HEADER, (result("x", 10),)))
