"""Group-wise figures by hand."""

from __future__ import annotations

import pytest

from eval.metrics import GroupRecord, group_figures
from tests.unit.eval.metrics.families import mask_record

HIT, MISSED, FALSE_ALARM, DENIED = (9, 9, 6), (9, 0, 0), (0, 4, 0), (0, 0, 0)
"""Pixels of the right mask, of the given one, and of both."""


def _asked(group: str, expression: str, *answers: tuple[int, int, int]) -> list[GroupRecord]:
    return [
        GroupRecord(
            mask_record(f"{group}/{expression}/{number}", f"{group}/{number}", *answer),
            group,
            expression,
        )
        for number, answer in enumerate(answers)
    ]


def test_figures():
    records = [
        *_asked("one", "kite", HIT, DENIED, HIT),
        *_asked("one", "lamp", DENIED, FALSE_ALARM, MISSED),
        *_asked("two", "kite", DENIED, DENIED),
        *_asked("two", "lamp", MISSED),
    ]
    figures = {one.name: one for one in group_figures(records)}
    assert (figures["accuracy"].value, figures["accuracy"].n) == (pytest.approx(6 / 9), 9)
    assert (figures["precision"].value, figures["precision"].n) == (pytest.approx(2 / 3), 3)
    assert (figures["recall"].value, figures["recall"].n) == (pytest.approx(2 / 4), 4)
    assert (figures["F1"].value, figures["F1"].n) == (pytest.approx(4 / 7), 5)
    right = figures["groups entirely right"]
    assert (right.value, right.n) == (0.5, 4)
    iou = figures["mIoU (pictures with the target)"]
    assert (iou.value, iou.n) == (pytest.approx(2 * (6 / 12) / 4), 4)


def test_pictures_of_a_group_are_drawn_together():
    alone = group_figures(_asked("one", "kite", HIT, MISSED, DENIED))
    assert all(one.low is None for one in alone)
    both = group_figures([*_asked("one", "kite", HIT), *_asked("two", "kite", MISSED)])
    assert all(one.low is not None for one in both if one.value is not None)
