"""What holds for every family of figures, whatever it measures."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.metrics import paired_differences, with_intervals
from lisa.errors import DataError
from tests.unit.eval.metrics.families import FAMILIES, Family

each_family = pytest.mark.parametrize("family", FAMILIES, ids=[one.name for one in FAMILIES])
seeds = st.integers(0, 2**32)
sizes = st.integers(0, 12)

# Figures that count classes without samples as 0, as many in a draw as in all samples.
ZEROS = re.compile(r"mAP|CP|CR|.*mR@\d+( \(empty predictions count 0\))?")
LOWER_IS_BETTER = ("false-positive rate", "MAE")


def _draw(family: Family, seed: int, size: int) -> list:
    rng = random.Random(seed)
    return [family.draw(rng, number) for number in range(size)]


@each_family
@given(seeds, sizes, st.data())
@settings(max_examples=15, deadline=None)
def test_any_split_over_processes_gives_the_same_bits(family, seed, size, data):
    records = _draw(family, seed, size)
    processes = data.draw(st.integers(1, 5))
    taken = [data.draw(st.integers(0, processes - 1)) for _ in records]
    parts = [
        [one for one, by in zip(records, taken, strict=True) if by == process]
        for process in range(processes)
    ]
    for part in parts:
        random.Random(seed).shuffle(part)
    merged = [one for part in parts for one in part]
    whole, other = (replace(family.measure(one), resamples=20) for one in (records, merged))
    assert whole.figures == other.figures
    assert with_intervals(whole) == with_intervals(other)


@each_family
@given(seeds, sizes)
@settings(max_examples=15, deadline=None)
def test_figures_are_fractions_inside_their_intervals(family, seed, size):
    measured = replace(family.measure(_draw(family, seed, size)), resamples=20)
    names = [figure.name for figure in measured.figures]
    assert len(set(names)) == len(names)
    for figure in with_intervals(measured):
        if figure.value is None:
            assert figure.low is None
            assert figure.high is None
            continue
        assert figure.n > 0
        assert 0 <= figure.value <= 1 + 1e-12, figure
        if figure.low is not None:
            assert -1e-12 <= figure.low <= figure.value <= figure.high <= 1 + 1e-12, figure


@each_family
@given(seeds, st.integers(1, 8), st.data())
@settings(max_examples=15, deadline=None)
def test_a_draw_equals_records_taken_several_times(family, seed, size, data):
    """The weighted figures that intervals are made of, against the plain ones of copies."""
    records = _draw(family, seed, size)
    measured = family.measure(records)
    clusters = [
        cluster or key for key, cluster in zip(measured.keys, measured.clusters, strict=True)
    ]
    times_of = {cluster: data.draw(st.integers(0, 3)) for cluster in dict.fromkeys(clusters)}
    by_key = {one.key: one for one in records}
    copies = [
        family.copied(by_key[key], number)
        for key, cluster in zip(measured.keys, clusters, strict=True)
        for number in range(times_of[cluster])
    ]
    weights = np.array([[times_of[cluster] for cluster in clusters]], np.float64)
    if not weights.any():
        return
    plain = {figure.name: figure.value for figure in family.measure(copies).figures}
    for figure, drawn in zip(measured.figures, measured.weighted(weights)[0], strict=True):
        if ZEROS.fullmatch(figure.name) or figure.name not in plain:
            continue  # the latter is there only where every expression has a target
        expected = plain[figure.name]
        if expected is None:
            assert np.isnan(drawn), figure.name
        else:
            assert drawn == pytest.approx(expected, abs=1e-9), figure.name


@each_family
def test_no_mistakes_give_one(family):
    rng = random.Random(3)
    records = [family.perfect(rng, number) for number in range(8)]
    for figure in with_intervals(replace(family.measure(records), resamples=20)):
        if "as released" in figure.name and figure.name.startswith("T-acc"):
            continue
        best = 0 if figure.name in LOWER_IS_BETTER else 1
        assert figure.value == pytest.approx(best, abs=1e-5), figure
        assert figure.low == pytest.approx(best, abs=1e-4), figure


@each_family
def test_nothing_measured_is_no_value(family):
    figures = with_intervals(family.measure([]))
    assert figures
    for figure in figures:
        assert (figure.value, figure.low, figure.high, figure.n) == (None, None, None, 0)


@each_family
def test_one_sample_has_no_interval(family):
    rng = random.Random(1)
    figures = with_intervals(family.measure([family.perfect(rng, 5)]))
    assert any(figure.value is not None for figure in figures)
    assert all(figure.low is None for figure in figures)


@each_family
def test_a_sample_that_is_there_twice_is_refused(family):
    one = family.draw(random.Random(1), 4)
    with pytest.raises(DataError, match="004 is there twice: hand each one in once"):
        family.measure([one, one])


@each_family
def test_a_system_does_not_differ_from_itself(family):
    records = _draw(family, 5, 12)
    first, second = (replace(family.measure(records), resamples=20) for _ in range(2))
    differences = paired_differences(first, second)
    assert any(one.p is not None for one in differences)
    for one in differences:
        if one.first is not None:
            assert one.difference == 0
            assert (one.low, one.high) in ((0, 0), (None, None))
        assert one.p in (1, None)
