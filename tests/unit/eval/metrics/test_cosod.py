"""Saliency records; the package's numbers are in tests/parity."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from eval.metrics import judge_saliency, saliency_measurement
from lisa.errors import DataError, MissingDependencyError

MASK = np.zeros((6, 7), bool)
MASK[1:4, 2:5] = True


def test_a_mask_is_a_map_of_two_values():
    pytest.importorskip("py_sod_metrics")
    record = judge_saliency("a", MASK, MASK)
    assert record == judge_saliency("a", MASK.astype(np.uint8) * 255, MASK)
    assert (record.mae, record.adaptive_f) == (0, 1)
    assert record.s_measure == pytest.approx(1)
    # The package divides by one pixel less than there are.
    assert record.adaptive_e == pytest.approx(42 / 41)
    assert len(record.f_curve) == len(record.e_curve) == 256


def test_the_maximum_is_of_the_mean_curve():
    pytest.importorskip("py_sod_metrics")
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 256, (3, 6, 7)).astype(np.uint8)
    records = [judge_saliency(str(n), one, MASK) for n, one in enumerate(maps)]
    values = {one.name: one.value for one in saliency_measurement(records).figures}
    curves = np.array([one.f_curve for one in records])
    assert values["max F"] == pytest.approx(curves.mean(axis=0).max())
    assert values["max F"] < curves.max(axis=1).mean()
    assert values["mean F"] == pytest.approx(curves.mean())


def test_wrong_maps_are_refused():
    with pytest.raises(DataError, match="a map of float64 and a mask of bool"):
        judge_saliency("a", MASK.astype(float), MASK)
    with pytest.raises(DataError, match=r"a map of \(7, 6\) and a mask of \(6, 7\)"):
        judge_saliency("a", MASK.T, MASK)
    with pytest.raises(DataError, match="two pixels or more"):
        judge_saliency("a", np.ones((1, 1), bool), np.ones((1, 1), bool))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "py_sod_metrics", None)
    with pytest.raises(MissingDependencyError, match="pip install --no-deps 'pysodmetrics"):
        judge_saliency("a", MASK, MASK)
