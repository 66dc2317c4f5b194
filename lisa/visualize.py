"""Draws what an answer points at onto the picture: filled masks, outlines and numbered labels.

And puts pictures with words below them into a grid, to look at many samples or answers at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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

GRID_MARGIN = 8
"""Pixels around each cell of a grid."""

_FONT_SIZE = 13
_LINE_HEIGHT = 17


@dataclass(frozen=True, eq=False)
class Cell:
    """A picture of a grid.

    Attributes:
        picture: Not larger than the grid's cells.
        lines: What stands below it; long lines are wrapped.
    """

    picture: Image.Image
    lines: tuple[str, ...]


def draw_segments(
    image: Image.Image,
    segments: Sequence[Segment],
    *,
    opacity: float = 0.45,
    labels: Sequence[str] | None = None,
) -> Image.Image:
    """Draws segments with a colour, an outline and a label each.

    Segments without pixels are left out; the others keep the colour of their place in the answer.

    Args:
        image: The picture that the masks lie on, RGB.
        segments: Masks `bool (H, W)` at the size of the picture, in the order of the answer.
        opacity: How much of the colour covers the picture, in [0, 1].
        labels: What to write on each; None writes its place in the answer and its phrase.

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
            if labels is not None:
                label = labels[number]
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
    draw_label(canvas, label, (mask_left, mask_top), colour)


def draw_label(
    canvas: Image.Image,
    label: str,
    at: tuple[float, float],
    colour: Colour,
    *,
    centred: bool = False,
) -> None:
    """Writes words on a coloured plate, moved so far that it lies inside the picture.

    Args:
        canvas: The picture, which is changed.
        label: One line; letters that are not Latin become question marks.
        at: `(x, y)`: the plate stands on this point with its left end, or below it at the upper
            border; with `centred`, its middle.
        colour: Of the plate.
        centred: Where the plate is in relation to the point.
    """
    draw = ImageDraw.Draw(canvas)
    size = max(11, round(min(canvas.size) / 28))
    font = ImageFont.load_default(size)
    # Pillow's own font has Latin letters only; its bitmap form fails on any other.
    text = label.encode("latin-1", "replace").decode("latin-1")
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    pad = size // 4
    width, height = right - left + 2 * pad, bottom - top + 2 * pad
    x, y = at
    if centred:
        x, y = max(0.0, x - width / 2), max(0.0, y - height / 2)
    elif y >= height:
        y -= height
    x = min(x, max(0.0, canvas.width - width))
    y = min(y, max(0.0, canvas.height - height))
    draw.rectangle((x, y, x + width, y + height), fill=colour)
    dark = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 150
    draw.text((x + pad - left, y + pad - top), text, font=font, fill="black" if dark else "white")


def draw_grid(
    cells: Sequence[Cell], columns: int, size: tuple[int, int], text_lines: int = 8
) -> Image.Image:
    """Puts pictures side by side, with their words below.

    Args:
        cells: One or more.
        columns: Most cells in a row.
        size: `(width, height)` that a picture takes at most.
        text_lines: Lines of words below a picture; what does not fit is cut.

    Returns:
        The grid, RGB.

    Raises:
        DataError: There is nothing to draw.
    """
    width, height = size
    if not cells or min(columns, width, height) < 1:
        raise DataError(
            f"a grid of {len(cells)} cells in {columns} columns, each {width} x {height} pixels, "
            "has nothing to show: give at least one of each."
        )
    columns = min(columns, len(cells))
    rows = -(-len(cells) // columns)
    whole = height + text_lines * _LINE_HEIGHT
    shape = (
        columns * (width + GRID_MARGIN) + GRID_MARGIN,
        rows * (whole + GRID_MARGIN) + GRID_MARGIN,
    )
    grid = Image.new("RGB", shape, "white")
    for number, cell in enumerate(cells):
        x = GRID_MARGIN + number % columns * (width + GRID_MARGIN)
        y = GRID_MARGIN + number // columns * (whole + GRID_MARGIN)
        grid.paste(cell.picture, (x + (width - cell.picture.width) // 2, y))
        below = (x, y + cell.picture.height + GRID_MARGIN // 2)
        _write_lines(grid, cell.lines, below, width, text_lines)
    return grid


def _write_lines(
    grid: Image.Image, lines: Sequence[str], at: tuple[int, int], width: int, most: int
) -> None:
    font = ImageFont.load_default(_FONT_SIZE)
    draw = ImageDraw.Draw(grid)
    wrapped = [piece for line in lines for piece in _wrap(line, font, width, most)]
    if len(wrapped) > most:
        wrapped = [*wrapped[: most - 1], "..."]
    for number, line in enumerate(wrapped):
        draw.text((at[0], at[1] + number * _LINE_HEIGHT), line, font=font, fill="black")


def _wrap(
    line: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int, most: int
) -> list[str]:
    # Pillow's own font has Latin letters only.
    text = " ".join(line.encode("latin-1", "replace").decode("latin-1").split())
    pieces, current = [], ""
    for word in text.split(" "):
        longer = f"{current} {word}" if current else word
        if current and font.getlength(longer) > width:
            pieces.append(current)
            longer = word
        # A word that is wider than the cell would run into the next one.
        while font.getlength(longer) > width and len(longer) > 1:
            longer = longer[:-1]
        current = longer
        if len(pieces) > most:
            break
    return [*pieces, current]
