"""Pictures and masks as data URLs: the page needs no file of them on the server."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHOWN_SIDE = 1280
"""Longest side of a picture on the page, in pixels; masks are shrunk alike."""

THUMB_SIDE = 144
"""Longest side of a picture in the row of all pictures."""

_SMALL_PIXELS = 300_000
"""Pictures up to this size are sent without loss: a JPEG of them would hardly be smaller."""

_WHITE = (255, 255, 255, 255)


def picture_url(image: Image.Image, side: int = SHOWN_SIDE) -> str:
    """Return a picture as the page shows it.

    Args:
        image: RGB.
        side: A longer picture is shrunk to it.
    """
    shown = image.copy()
    shown.thumbnail((side, side))
    if shown.width * shown.height <= _SMALL_PIXELS:
        return _url(shown, "png", optimize=False)
    return _url(shown, "jpeg", quality=88)


def mask_url(
    mask: NDArray[np.bool_], side: int = SHOWN_SIDE, paint: tuple[int, int, int, int] = _WHITE
) -> str:
    """Return a mask as a PNG that is clear outside of it.

    Args:
        mask: bool (H, W).
        side: A longer mask is shrunk to it, as its picture is.
        paint: Red, green, blue and opacity inside, in [0, 255].
    """
    shown = Image.fromarray(mask.astype(np.uint8))
    if max(shown.size) > side:
        scale = side / max(shown.size)
        size = (max(1, round(shown.width * scale)), max(1, round(shown.height * scale)))
        shown = shown.resize(size, Image.Resampling.NEAREST)
    shown.putpalette([0, 0, 0, *paint[:3]])
    return _url(shown, "png", transparency=bytes([0, paint[3]]), bits=1, optimize=True)


def _url(image: Image.Image, kind: str, **options: int | bool | bytes) -> str:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
