from __future__ import annotations

import pytest
import torch

from lisa.tagging import SwinSizes
from lisa.tagging.swin import SwinEncoder, shifted_window_mask


@pytest.mark.parametrize(("grid", "window"), [(8, 4), (12, 3), (6, 2)])
def test_only_places_that_touch_in_the_picture_see_each_other(grid: int, window: int):
    shift = window // 2
    mask = shifted_window_mask(grid, window, shift)
    side = grid // window
    assert mask.shape == (side * side, window**2, window**2)
    # A place of the shifted grid came from this row or column of the picture.
    source = [(place + shift) % grid for place in range(grid)]
    for number in range(side * side):
        top, left = number // side * window, number % side * window
        places = [(source[top + y], source[left + x]) for y in range(window) for x in range(window)]
        for i, a in enumerate(places):
            for j, b in enumerate(places):
                near = all(abs(p - q) < window for p, q in zip(a, b, strict=True))
                assert mask[number, i, j] == (0 if near else -100)


def encoder(window: int = 2) -> SwinEncoder:
    torch.manual_seed(0)
    made = SwinEncoder(SwinSizes(64, window, 8, (1, 2, 2, 1), (1, 2, 2, 4))).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def test_the_mean_comes_first():
    pixels = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        tokens = encoder()(pixels)
    assert tokens.shape == (3, 1 + 4, 64)
    torch.testing.assert_close(tokens[:, 0], tokens[:, 1:].mean(dim=1))


def test_pictures_do_not_see_each_other():
    pixels = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            encoder()(pixels)[1:2], encoder()(pixels[1:2]), atol=1e-4, rtol=1e-4
        )


def test_a_window_as_large_as_the_grid_is_not_shifted():
    last = encoder(window=4).layers[2].blocks
    assert [block.shift for block in last] == [0, 0]
    assert [block.shift for block in encoder(window=4).layers[1].blocks] == [0, 2]
    # The last grid has two places a side: so has its window.
    table = encoder(window=4).layers[3].blocks[0].attn.relative_position_bias_table
    assert table.shape == (9, 4)
