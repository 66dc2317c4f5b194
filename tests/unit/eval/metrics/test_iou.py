"""gIoU and cIoU: against naive sums, and under any way of splitting the work."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from eval.metrics import PixelCounts, count_pixels, score, score_as_released
from lisa.errors import DataError

masks = st.tuples(st.integers(1, 7), st.integers(1, 7)).flatmap(
    lambda shape: st.tuples(*(arrays.arrays(bool, shape) for _ in range(3)))
)
records = st.builds(
    lambda a, b, c: PixelCounts(min(a, b), max(a, b), c),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
)


@given(masks)
@settings(max_examples=60, deadline=None)
def test_counts_equal_a_loop_over_pixels(triple: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    prediction, target, ignore = triple
    intersection = union = area = 0
    for p, t, i in zip(prediction.flat, target.flat, ignore.flat, strict=True):
        if not i:
            intersection += bool(p and t)
            union += bool(p or t)
            area += bool(t)
    assert count_pixels(prediction, target, ignore) == PixelCounts(intersection, union, area)


@given(st.lists(records, min_size=1, max_size=40), st.data())
@settings(max_examples=60, deadline=None)
def test_merging_any_split_equals_the_whole(kept: list[PixelCounts], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(kept))
    cut = data.draw(st.integers(0, len(kept)))
    for scorer in (score, score_as_released):
        assert scorer(kept) == scorer([*shuffled[cut:], *shuffled[:cut]])


@given(st.lists(records, min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_plain_scores_equal_numpy(kept: list[PixelCounts]) -> None:
    intersections = np.array([r.intersection for r in kept], float)
    unions = np.array([r.union for r in kept], float)
    ious = np.divide(intersections, unions, out=np.ones_like(unions), where=unions > 0)
    scores = score(kept)
    assert scores.giou == pytest.approx(ious.mean())
    assert scores.ciou == pytest.approx(intersections.sum() / unions.sum() if unions.any() else 1)
    released = score_as_released(kept)
    assert released.giou == pytest.approx(scores.giou, abs=1e-4)


def test_two_empty_masks_agree() -> None:
    empty = count_pixels(np.zeros((3, 3), bool), np.zeros((3, 3), bool))
    assert empty == PixelCounts(0, 0, 0)
    assert score([empty]).giou == 1
    assert score([empty]).ciou == 1
    full = count_pixels(np.ones((3, 3), bool), np.ones((3, 3), bool))
    assert score([empty, full]).ciou == 1


def test_no_answers_have_no_score() -> None:
    assert score([]).giou is None
    assert score_as_released([]).n == 0


def test_wrong_masks_are_refused() -> None:
    with pytest.raises(DataError, match="cannot be compared"):
        count_pixels(np.zeros((3, 4), bool), np.zeros((4, 3), bool))
    with pytest.raises(DataError, match="compare logits with 0"):
        count_pixels(np.zeros((3, 3)), np.zeros((3, 3), bool))
