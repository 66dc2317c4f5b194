from __future__ import annotations

import numpy as np
import pytest
import torch

from lisa.tagging.relative_positions import _old_positions, resize_table

PAIRS = [(7, 12), (12, 7), (3, 6), (2, 3), (6, 3)]


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_shape_constants_and_types(old: int, new: int):
    table = torch.full(((2 * old - 1) ** 2, 3), 0.25, dtype=torch.float16)
    resized = resize_table(table, new)
    assert resized.shape == ((2 * new - 1) ** 2, 3)
    assert resized.dtype == torch.float16
    assert torch.equal(resized, torch.full_like(resized, 0.25))


@pytest.mark.parametrize(("old", "new"), [pair for pair in PAIRS if pair != (2, 3)])
def test_a_cubic_is_carried_over_exactly(old: int, new: int):
    def cubic(y, x):
        return 0.01 * x**3 - 0.02 * y**3 + 0.3 * x * y - y + 2

    places = _old_positions(2 * old - 1, 2 * new - 1)
    values = cubic(places[:, None], places[None, :])
    resized = resize_table(torch.from_numpy(values.reshape(-1, 1)), new)
    # Beyond the outermost old place the last value stays.
    wanted = np.clip(np.arange(-(new - 1), new), places[0], places[-1])
    expected = cubic(wanted[:, None], wanted[None, :]).reshape(-1, 1)
    torch.testing.assert_close(resized, torch.from_numpy(expected), atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_old_places_are_symmetric_and_one_apart_in_the_middle(old: int, new: int):
    places = _old_positions(2 * old - 1, 2 * new - 1)
    np.testing.assert_allclose(places, -places[::-1])
    assert places[old] == 1
    assert (np.diff(places) > 0).all()


def test_the_same_window_changes_nothing():
    table = torch.randn(25, 2)
    assert resize_table(table, 3) is table
