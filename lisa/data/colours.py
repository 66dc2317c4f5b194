"""The colours of things in everyday words: the eleven basic terms of English.

The terms are those of Berlin and Kay, "Basic Color Terms" (1969); where one ends and the next
begins are limits of our own in hue, chroma and value.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

COLOURS: Final = (
    "black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown",
)  # fmt: skip
MAIN_SHARE = 0.35
"""A thing has the colours that at least this share of its pixels have."""

# Degrees on the circle of hues at which a colour begins.
_HUES = (
    (0, "red"), (14, "orange"), (42, "yellow"), (68, "green"), (165, "blue"), (255, "purple"),
    (295, "pink"), (345, "red"),
)  # fmt: skip
_DARK, _BRIGHT, _PALE = 0.2, 0.82, 0.1


def main_colours(pixels: NDArray[np.uint8]) -> tuple[str, ...]:
    """Names the colours of a thing, in the order of `COLOURS`.

    Args:
        pixels: (N, 3), its pixels in RGB; there may be none.
    """
    counts = np.bincount(name_pixels(pixels), minlength=len(COLOURS))
    least = max(1.0, MAIN_SHARE * len(pixels))
    return tuple(name for name, count in zip(COLOURS, counts, strict=True) if count >= least)


def name_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Returns the place in `COLOURS` of the colour of each pixel: (N,) for (N, 3) in RGB."""
    values = pixels.astype(np.float64) / 255
    brightest, darkest = values.max(axis=1, initial=0), values.min(axis=1, initial=1)
    chroma = brightest - darkest
    hue = _hues(values, brightest, chroma)
    starts = np.array([start for start, _ in _HUES])
    of_hue = np.array([COLOURS.index(name) for _, name in _HUES])
    named = of_hue[np.searchsorted(starts, hue, side="right") - 1]
    saturation = chroma / np.maximum(brightest, 1e-6)
    warm = (hue < 48) | (hue >= 345)
    # Brown is a dark or dull orange, pink a light red.
    named = np.where(warm & (hue >= 8) & (hue < 48) & (brightest < 0.66), _of("brown"), named)
    named = np.where(warm & (hue >= 8) & (saturation < 0.45), _of("brown"), named)
    rosy = (hue < 20) | (hue >= 320)
    named = np.where(rosy & (saturation < 0.5) & (brightest > 0.7), _of("pink"), named)
    named = np.where(chroma < _PALE, _of("grey"), named)
    named = np.where((chroma < _PALE) & (brightest > _BRIGHT), _of("white"), named)
    black: NDArray[np.intp] = np.where(brightest < _DARK, _of("black"), named)
    return black


def _of(name: str) -> int:
    return COLOURS.index(name)


def _hues(
    values: NDArray[np.float64], brightest: NDArray[np.float64], chroma: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns the hue of each pixel in degrees, 0 where it has none."""
    red, green, blue = values.T
    safe = np.maximum(chroma, 1e-9)
    sixths = np.where(
        brightest == red,
        (green - blue) / safe % 6,
        np.where(brightest == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    return np.where(chroma > 0, 60 * sixths, 0.0)
