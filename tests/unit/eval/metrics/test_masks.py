"""Figures of mask questions, gRefCOCO and Ref-ZOM: by hand, and against the plain scores."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics import (
    Measurement,
    gres_mask_measurement,
    gres_measurement,
    gres_records,
    mask_figures,
    mask_measurement,
    ref_zom_measurement,
    score,
    score_as_released,
    score_pointing,
)
from tests.unit.eval.metrics.families import draw_gres, draw_mask, mask_record


def _values(measured: Measurement) -> dict[str, float | None]:
    return {figure.name: figure.value for figure in measured.figures}


@given(st.integers(0, 2**32), st.integers(0, 15))
def test_figures_equal_the_plain_scores_to_the_bit(seed, size):
    rng = random.Random(seed)
    records = [draw_mask(rng, number) for number in range(size)]
    counts = [record.counts for record in records]
    values = _values(mask_measurement(records))
    plain, released = score(counts), score_as_released(counts)
    assert (values["gIoU"], values["cIoU"]) == (plain.giou, plain.ciou)
    assert values["gIoU (as released)"] == released.giou
    assert values["cIoU (as released)"] == released.ciou
    pointing = score_pointing((record.counts, record.pointed) for record in records)
    assert values["emission rate"] == pointing.emission
    assert values["false-positive rate"] == pointing.false_positives


def test_an_iou_at_the_threshold_counts():
    # 70 of 100 pixels, and one pixel less.
    at, below = mask_record("a", "", 85, 85, 70), mask_record("b", "", 84, 85, 69)
    assert at.counts.iou == 0.7
    assert _values(mask_measurement([at]))["Pr@0.7"] == 1
    assert _values(mask_measurement([below]))["Pr@0.7"] == 0
    assert _values(mask_measurement([at, below]))["Pr@0.6"] == 1


def test_numbers_of_samples():
    records = [
        mask_record("a", "p", 9, 9, 9),
        mask_record("b", "p", 9, 0, 0),
        mask_record("c", "q", 0, 5, 0),
    ]
    figures = {figure.name: figure for figure in mask_figures(records)}
    assert (figures["emission rate"].value, figures["emission rate"].n) == (0.5, 2)
    assert (figures["false-positive rate"].value, figures["false-positive rate"].n) == (1, 1)
    assert (figures["gIoU"].value, figures["gIoU"].n) == (pytest.approx(1 / 3), 3)
    assert "released" in figures["gIoU (as released)"].note


def test_a_system_without_a_choice_has_no_emission_rate():
    forced = replace(mask_record("a", "", 9, 0, 0), pointed=None)
    silent = mask_record("b", "", 9, 0, 0)
    assert _values(mask_measurement([forced]))["emission rate"] is None
    assert _values(mask_measurement([forced, silent]))["emission rate"] == 0
    assert not gres_records([forced], "no mask")[0].rejected


def test_two_readings_of_a_rejection():
    empty_mask = replace(mask_record("a", "", 0, 0, 0), pointed=1)
    few_pixels = mask_record("b", "", 0, 49, 0)
    enough = mask_record("c", "", 0, 50, 0)
    silent = mask_record("d", "", 80, 0, 0)
    small_but_right = mask_record("e", "", 60, 40, 40)
    records = [empty_mask, few_pixels, enough, silent, small_but_right]
    rejected = {
        reading: "".join(one.key for one in gres_records(records, reading) if one.rejected)
        for reading in ("no mask", "few pixels")
    }
    assert rejected == {"no mask": "d", "few pixels": "abde"}
    values = _values(gres_mask_measurement(records))
    few = " (rejected: under 50 pixels)"
    assert (values["N-acc"], values["T-acc"]) == (0, 0.5)
    assert values["N-acc" + few] == pytest.approx(2 / 3)
    assert values["T-acc" + few] == 0
    assert values["gIoU"] == pytest.approx((40 / 60) / 5)
    assert values["gIoU" + few] == pytest.approx(2 / 5)
    # The two rejected masks with pixels, and a wrong rejection, pay for their raw unions or do not.
    assert values["cIoU"] == pytest.approx(40 / (49 + 50 + 80 + 60))
    assert values["cIoU" + few] == 0


def test_where_every_expression_has_a_target_the_released_zero_is_there_too():
    values = _values(gres_measurement(gres_records([mask_record("a", "", 9, 9, 9)], "no mask")))
    assert values["N-acc"] is None
    assert (values["T-acc"], values["T-acc (as released)"]) == (1, 0)
    rng = random.Random(0)
    mixed = [draw_gres(rng, number) for number in range(20)]
    assert {one.targeted for one in mixed} == {True, False}
    assert "T-acc (as released)" not in _values(gres_measurement(mixed))


def test_ref_zom_leaves_expressions_without_target_out_of_iou():
    records = [
        mask_record("one", "", 10, 10, 5),
        mask_record("many", "", 90, 90, 90),
        mask_record("zero, drawn", "", 0, 400, 0),
        replace(mask_record("zero, empty mask", "", 0, 0, 0), pointed=1),
        mask_record("zero, silent", "", 0, 0, 0),
    ]
    measured = ref_zom_measurement(records)
    values = _values(measured)
    assert values["oIoU"] == pytest.approx(95 / 105)
    assert values["mIoU"] == pytest.approx((5 / 15 + 1) / 2)
    assert values["Acc"] == pytest.approx(2 / 3)
    assert [figure.n for figure in measured.figures] == [2, 2, 3]
