from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lisa.relations.pooling import coverage, pool


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.integers(1, 9), st.data())
def test_no_mask_is_lost_on_the_grid(height: int, width: int, rows: int, columns: int, data):
    mask = np.zeros((height, width), bool)
    mask[data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))] = True
    (share,) = coverage([mask], (rows, columns))
    assert share.shape == (rows, columns)
    assert float(share.max()) > 0
    (everything,) = coverage([np.ones((height, width), bool)], (rows, columns))
    torch.testing.assert_close(everything, torch.ones(rows, columns))


def test_a_feature_is_the_mean_over_the_mask():
    features = torch.arange(24.0).view(2, 3, 4)
    masks = np.zeros((3, 6, 8), bool)
    masks[0, :2, :4] = True  # two whole cells
    masks[1, 4:, 7] = True  # half of the last cell
    found = pool(features, coverage(masks, (3, 4)))
    torch.testing.assert_close(found[0], features[:, 0, :2].mean(dim=1))
    torch.testing.assert_close(found[1], features[:, 2, 3])
    assert not found[2].any()


def test_no_masks():
    assert pool(torch.zeros(5, 2, 2), coverage([], (2, 2))).shape == (0, 5)
