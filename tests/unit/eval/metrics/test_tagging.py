"""Tagging figures by hand; the released numbers are in tests/parity."""

from __future__ import annotations

import numpy as np
import pytest

from eval.metrics import TagRecord, tagging_figures, tagging_measurement
from lisa.errors import DataError

RECORDS = [
    TagRecord("a", [0.9, 0.5, 0.1], [True, False, False]),
    TagRecord("b", [0.8, 0.5, 0.1], [False, True, False]),
    TagRecord("c", [0.7, 0.2, 0.1], [True, False, False]),
]
TAGS = ["bowl", "comb", "kite"]


def test_both_readings_of_classes_without_anything():
    figures = {
        figure.name: figure for figure in tagging_figures(RECORDS, 0.5, TAGS, per_class=True)
    }
    bowl, comb = (1 + 2 / 3) / 2, 1 / 2
    assert figures["mAP"].value == pytest.approx((bowl + comb) / 3)
    assert figures["mAP (classes that occur)"].value == pytest.approx((bowl + comb) / 2)
    assert figures["mAP (classes that occur)"].note == "over 2 classes"
    # A probability at the threshold is a "yes".
    assert figures["CP"].value == pytest.approx((2 / 3 + 1 / 2) / 3)
    assert figures["CP (classes predicted)"].value == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert figures["CR"].value == pytest.approx(2 / 3)
    assert figures["CR (classes that occur)"].value == pytest.approx(1)
    assert (figures["AP: bowl"].value, figures["AP: bowl"].n) == (pytest.approx(bowl), 2)
    assert (figures["P: kite"].value, figures["P: kite"].n) == (None, 0)


def test_a_class_that_a_draw_misses_does_not_pull_the_interval_down():
    shown = np.zeros((40, 5), bool)
    shown[:, 0] = shown[3, 1] = shown[9, 2] = shown[21, 3] = True  # three rare tags, one never
    records = [TagRecord(f"{n:02d}", row.astype(float), row) for n, row in enumerate(shown)]
    figures = {figure.name: figure for figure in tagging_figures(records, 0.5, list("abcde"))}
    for name in ("mAP", "CP", "CR"):
        assert figures[name].value == pytest.approx(0.8, abs=1e-6)
        assert figures[name].low == pytest.approx(0.8, abs=1e-6)


def test_thresholds_may_differ():
    values = [
        {figure.name: figure.value for figure in tagging_measurement(RECORDS, limit, TAGS).figures}
        for limit in ([0.75, 0.5, 1.0], [0.85, 0.6, 1.0])
    ]
    assert values[0]["CP (classes predicted)"] == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert values[1]["CP (classes predicted)"] == pytest.approx(1)


def test_a_record_of_other_classes_is_refused():
    with pytest.raises(
        DataError, match=r"a has values of shape \(3,\), not one for each of 2 tags"
    ):
        tagging_measurement(RECORDS, 0.5, TAGS[:2])
