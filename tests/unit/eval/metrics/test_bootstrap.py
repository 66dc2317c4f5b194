"""Intervals and comparisons: against a plain loop, and against what they promise."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from eval.metrics.bootstrap import (
    Measurement,
    Ratio,
    from_draws,
    from_ratios,
    joined,
    mean_over,
    paired_differences,
    with_intervals,
)
from eval.metrics.figures import Figure
from lisa.errors import DataError


def _means(values: np.ndarray, clusters: list[str] | None = None) -> Measurement:
    keys = [f"{number:06d}" for number in range(len(values))]
    return from_ratios(keys, clusters or [""] * len(keys), [mean_over("mean", values)])


def test_intervals_equal_a_loop_over_draws():
    rng = np.random.default_rng(0)
    above, below = rng.integers(0, 50, 30), rng.integers(50, 90, 30)
    keys = [f"{number:02d}" for number in range(30)]
    ratio = Ratio("cIoU", above.astype(float), below.astype(float), 30)
    (figure,) = with_intervals(from_ratios(keys, [""] * 30, [ratio]), seed=7)
    again = np.random.default_rng(7)
    draws = again.integers(0, 30, (2000, 30))
    ratios = above[draws].sum(axis=1) / below[draws].sum(axis=1)
    assert figure.value == above.sum() / below.sum()
    assert (figure.low, figure.high) == pytest.approx(np.percentile(ratios, (2.5, 97.5)))


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(150):
        measured = replace(_means(rng.random(60) < 0.3), resamples=300)
        (figure,) = with_intervals(measured, seed)
        held += figure.low <= 0.3 <= figure.high
    assert 0.88 <= held / 150 <= 0.99


def test_questions_about_one_picture_are_drawn_together():
    rng = np.random.default_rng(2)
    values = np.repeat(rng.random(50), 10)
    pictures = [f"p{number // 10}" for number in range(500)]
    alone, together = (with_intervals(_means(values, c))[0] for c in (None, pictures))
    assert alone.value == together.value
    ratio = (together.high - together.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(np.sqrt(10), rel=0.2)


def test_a_picture_may_be_called_like_a_question():
    # The first three are drawn one by one though the last one's picture is called "000000".
    measured = _means(np.array([0.0, 1.0, 0.0, 1.0]), ["", "", "", "000000"])
    (figure,) = with_intervals(measured)
    assert (figure.low, figure.high) == (0, 1)


def test_one_picture_has_no_interval():
    (figure,) = with_intervals(_means(np.array([0.0, 1.0]), ["p", "p"]))
    assert (figure.value, figure.low, figure.high) == (0.5, None, None)


def test_the_seed_decides():
    measured = _means(np.random.default_rng(3).random(40))
    assert with_intervals(measured, 1) == with_intervals(measured, 1)
    assert with_intervals(measured, 1) != with_intervals(measured, 2)


def test_memory_is_bounded():
    values = np.random.default_rng(4).random(50_000)
    measured = replace(_means(values), resamples=200)
    tracemalloc.start()
    with_intervals(measured)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All draws at once would be 80 MB of weights alone.
    assert most < 75e6


def test_draws_without_a_sample_that_counts_are_left_out():
    rare = np.zeros(30, bool)
    rare[4] = True
    keys = [f"{number:02d}" for number in range(30)]
    (figure,) = with_intervals(from_ratios(keys, [""] * 30, [mean_over("rare", rare, rare)]))
    assert (figure.value, figure.low, figure.high, figure.n) == (1, 1, 1, 1)


def test_an_interval_holds_its_value_even_where_draws_are_off():
    # The maximum over draws of one half of the samples never reaches a maximum that needs all.
    keys = [f"{number:02d}" for number in range(9)]
    measured = from_draws(
        keys, [""] * 9, [Figure("all", None, n=9)], lambda weights: [float(weights.min())]
    )
    (figure,) = with_intervals(measured)
    assert figure.value == 1
    assert (figure.low, figure.high) == (0, 1)


def test_a_clear_difference_is_significant_and_noise_is_not():
    rng = np.random.default_rng(5)
    first = rng.random(200)
    better = np.clip(first + 0.1 + rng.normal(0, 0.05, 200), 0, 1)
    (clear,) = paired_differences(_means(first), _means(better))
    assert clear.difference == pytest.approx(better.mean() - first.mean())
    assert 0 < clear.low < clear.difference < clear.high
    assert clear.p == pytest.approx(2 / 2001)
    (back,) = paired_differences(_means(better), _means(first))
    assert back.difference == -clear.difference
    assert (back.p, back.low) == pytest.approx((clear.p, -clear.high))
    same = np.clip(first + rng.normal(0, 0.05, 200), 0, 1)
    (noise,) = paired_differences(_means(first), _means(same))
    assert noise.low < 0 < noise.high
    assert noise.p > 0.05


def test_p_values_are_even_where_nothing_differs():
    rng = np.random.default_rng(6)
    small = 0
    for seed in range(150):
        first, second = rng.random((2, 60))
        measured = [replace(_means(one), resamples=300) for one in (first, second)]
        (found,) = paired_differences(*measured, seed)
        small += found.p < 0.1
    assert 0.03 <= small / 150 <= 0.2


def test_comparing_different_things_is_refused():
    four, five = _means(np.ones(4)), _means(np.ones(5))
    with pytest.raises(DataError, match="000004 is in one only: use the answers to the same"):
        paired_differences(four, five)
    with pytest.raises(DataError, match="different figures"):
        paired_differences(four, four.renamed(" (other)"))


def test_joined_figures_keep_their_values():
    one, other = _means(np.arange(4.0) / 4), _means(np.ones(4)).renamed(" (ones)")
    both = with_intervals(joined(one, other))
    assert both == (*with_intervals(one), *with_intervals(other))
    with pytest.raises(DataError, match="different samples"):
        joined(one, _means(np.ones(3)))
