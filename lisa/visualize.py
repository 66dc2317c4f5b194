"""Draws what an answer points at onto the picture: filled masks, outlines and numbered labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from lisa.errors import DataError
from lisa.types import Segment

Colour = tuple[int, int, int]

# Eight colours that people with any colour vision can tell apart (Okabe and Ito, 2008), brightest
# contrasts first, without their black.
COLOURS: tuple[Colour, ...] = (
    (213, 94, 0),
    (0, 114, 178),
    (0, 158, 115),
    (230, 159, 0),
    (204, 121, 167),
    (86, 180, 233),
    (240, 228, 66),
)


def draw_segments(
    image: Image.Image, segments: Sequence[Segment], *, opacity: float = 0.45
) -> Image.Image:
    """Draws segments with a colour, an outline and a label each.

    Segments without pixels are left out; the others keep the colour of their place in the answer.

    Args:
        image: The picture that the masks lie on, RGB.
        segments: Masks `bool (H, W)` at the size of the picture, in the order of the answer.
        opacity: How much of the colour covers the picture, in [0, 1].

    Returns:
        A new RGB picture of the same size.

    Raises:
        DataError: A mask's size is not the picture's.
    """
    canvas = image.convert("RGB")
    for number, segment in enumerate(segments):
        if segment.mask.shape != (image.height, image.width):
            raise DataError(
                f"a mask of {segment.mask.shape} (height, width) does not lie on a picture of "
                f"{(image.height, image.width)}: draw it on the picture it was made for."
            )
        if segment.mask.any():
            canvas = _fill(canvas, segment.mask, COLOURS[number % len(COLOURS)], opacity)
    for number, segment in enumerate(segments):
        if segment.box is not None:
            label = str(number) if segment.phrase is None else f"{number} {segment.phrase}"
            _write_label(canvas, segment, label, COLOURS[number % len(COLOURS)])
    return canvas


def _fill(
    canvas: Image.Image, mask: NDArray[np.bool_], colour: Colour, opacity: float
) -> Image.Image:
    area = Image.fromarray(mask.astype(np.uint8) * 255)
    tinted = Image.blend(canvas, Image.new("RGB", canvas.size, colour), opacity)
    filled = Image.composite(tinted, canvas, area)
    width = max(1, round(min(canvas.size) / 300))
    # The outline lies inside the mask, so it never claims a pixel that the mask does not. The frame
    # of background around it makes the picture's own border an outline too.
    framed = Image.new("L", (canvas.width + 2 * width, canvas.height + 2 * width))
    framed.paste(area, (width, width))
    inner = framed.filter(ImageFilter.MinFilter(2 * width + 1)).crop(
        (width, width, width + canvas.width, width + canvas.height)
    )
    outline = Image.fromarray((mask & (np.asarray(inner) == 0)).astype(np.uint8) * 255)
    filled.paste(colour, mask=outline)
    return filled


def _write_label(canvas: Image.Image, segment: Segment, label: str, colour: Colour) -> None:
    # A few stray pixels stretch the box; the label belongs to where most of the mask is.
    mask_top, mask_left = np.percentile(np.argwhere(segment.mask), 2, axis=0).tolist()
    draw = ImageDraw.Draw(canvas)
    size = max(11, round(min(canvas.size) / 28))
    font = ImageFont.load_default(size)
    # Pillow's own font has Latin letters only; its bitmap form fails on any other.
    text = label.encode("latin-1", "replace").decode("latin-1")
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    pad = size // 4
    width, height = right - left + 2 * pad, bottom - top + 2 * pad
    x = min(mask_left, max(0.0, canvas.width - width))
    y = mask_top - height
    if y < 0:
        y = min(mask_top, max(0.0, canvas.height - height))
    draw.rectangle((x, y, x + width, y + height), fill=colour)
    dark = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 150
    draw.text((x + pad - left, y + pad - top), text, font=font, fill="black" if dark else "white")
