from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lisa.data.colours import COLOURS, main_colours, name_pixels

CLEAR = {
    "black": (20, 20, 25),
    "white": (245, 245, 240),
    "grey": (130, 130, 128),
    "red": (200, 20, 30),
    "orange": (250, 140, 20),
    "yellow": (250, 230, 30),
    "green": (40, 150, 50),
    "blue": (30, 60, 200),
    "purple": (120, 40, 170),
    "pink": (250, 160, 190),
    "brown": (120, 70, 30),
}


def rgb(*pixels: tuple[int, int, int]) -> np.ndarray:
    return np.array(pixels, np.uint8).reshape(-1, 3)


def test_clear_colours_have_their_names():
    assert tuple(CLEAR) == COLOURS
    assert name_pixels(rgb(*CLEAR.values())).tolist() == list(range(len(COLOURS)))


@pytest.mark.parametrize(
    ("name", "pixel"),
    [
        ("blue", (130, 190, 240)),
        ("blue", (20, 20, 90)),
        ("brown", (210, 180, 140)),
        ("pink", (220, 20, 180)),
        ("green", (150, 220, 120)),
    ],
)
def test_shades(name: str, pixel: tuple[int, int, int]):
    assert main_colours(rgb(pixel)) == (name,)


def test_a_thing_has_the_colours_of_its_larger_parts():
    half = rgb(*[CLEAR["red"]] * 50, *[CLEAR["white"]] * 45, *[CLEAR["blue"]] * 5)
    assert main_colours(half) == ("white", "red")
    assert main_colours(rgb()) == ()


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_every_pixel_has_a_name_and_hues_go_round_the_circle(pixel: tuple[int, int, int]):
    (place,) = name_pixels(rgb(pixel))
    hue, saturation, value = colorsys.rgb_to_hsv(*(one / 255 for one in pixel))
    if value >= 0.3 and saturation > 0.6 and 100 <= 360 * hue <= 160:
        assert COLOURS[place] == "green"
    if len(set(pixel)) == 1:
        assert COLOURS[place] in ("black", "grey", "white")
