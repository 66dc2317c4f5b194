from __future__ import annotations

import numpy as np
import pytest

from training.tagging.thresholds import choose_thresholds


def test_a_threshold_lies_between_what_is_there_and_what_is_not():
    shown = np.zeros((40, 2), bool)
    shown[:20] = True
    probabilities = np.where(shown, [0.8, 0.3], [0.4, 0.1])
    first, second = choose_thresholds(probabilities, shown)
    assert 0.4 <= first < 0.8
    assert 0.1 <= second < 0.3


def test_a_tag_without_pictures_follows_the_others():
    shown = np.zeros((40, 3), bool)
    shown[:20, :2] = True
    probabilities = np.where(shown, 0.7, 0.2)
    limits = choose_thresholds(probabilities, shown)
    assert limits[2] == pytest.approx(limits[0], abs=0.05)


def test_thresholds_are_probabilities():
    rng = np.random.default_rng(0)
    limits = choose_thresholds(rng.random((30, 5)), rng.random((30, 5)) < 0.3)
    assert all(0 < one < 1 for one in limits)
