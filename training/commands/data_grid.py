"""A picture grid of samples: each with its masks drawn in, and what is asked and answered below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lisa.data.mask_sources import MaskSource
from lisa.errors import ConfigError, DataError
from lisa.images import open_image
from lisa.masks import mask_to_box
from lisa.types import Segment
from lisa.visualize import draw_segments
from training.samples import Sample

MARGIN = 8
FONT_SIZE = 13
LINE_HEIGHT = 17
TEXT_LINES = 8


def draw_grid(samples: Sequence[Sample], columns: int = 4, cell: int = 320) -> Image.Image:
    """Draw samples side by side.

    Args:
        samples: One or more; their pictures and masks are read.
        columns: Most cells in a row.
        cell: Width of a cell and greatest height of its picture, in pixels.

    Returns:
        The grid, RGB.

    Raises:
        ConfigError: If there is nothing to draw.
        DataError: If a mask is damaged or of another size than its picture.
        ImageError: If a picture cannot be opened.
    """
    if not samples or columns < 1 or cell < 1:
        raise ConfigError(
            f"a grid of {len(samples)} samples, {columns} columns and cells of {cell} pixels has "
            "nothing to show: give at least one of each."
        )
    columns = min(columns, len(samples))
    rows = -(-len(samples) // columns)
    height = cell + TEXT_LINES * LINE_HEIGHT
    grid = Image.new(
        "RGB", (columns * (cell + MARGIN) + MARGIN, rows * (height + MARGIN) + MARGIN), "white"
    )
    for number, sample in enumerate(samples):
        x = MARGIN + number % columns * (cell + MARGIN)
        y = MARGIN + number // columns * (height + MARGIN)
        picture = _draw_picture(sample, cell)
        grid.paste(picture, (x + (cell - picture.width) // 2, y))
        _write_lines(grid, _words(sample), (x, y + picture.height + MARGIN // 2), cell)
    return grid


def _draw_picture(sample: Sample, cell: int) -> Image.Image:
    image = open_image(sample.image)
    scale = cell / max(image.size)
    shown = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    segments = []
    for source, phrase in _masks(sample):
        mask = source.read()
        if mask.shape != (image.height, image.width):
            raise DataError(
                f"{sample.key}: a mask has {mask.shape[0]} x {mask.shape[1]} pixels (height x "
                f"width), but its picture has {image.height} x {image.width}."
            )
        # The masks shrink with the picture, so that their labels are as large in every cell.
        drawn = np.asarray(Image.fromarray(mask).resize(shown))
        box = mask_to_box(drawn)
        segments.append(
            Segment(drawn, box, 1.0, "empty" if box is None else "found", phrase, (0, 0))
        )
    return draw_segments(image.resize(shown), segments)


def _masks(sample: Sample) -> list[tuple[MaskSource, str | None]]:
    """Return all masks; where there are several questions, with the number of theirs."""
    several = len(sample.dialogues) > 1
    return [
        (mask, str(number) if several else None)
        for number, dialogue in enumerate(sample.dialogues, 1)
        for mask in dialogue.segments
    ]


def _words(sample: Sample) -> list[str]:
    lines = [sample.key]
    for number, dialogue in enumerate(sample.dialogues, 1):
        which = f"{number} " if len(sample.dialogues) > 1 else ""
        for message in dialogue.conversation.messages:
            lines.append(f"{which}{message.role}: {message.text}")
    return lines


def _write_lines(grid: Image.Image, lines: Sequence[str], at: tuple[int, int], width: int) -> None:
    font = ImageFont.load_default(FONT_SIZE)
    draw = ImageDraw.Draw(grid)
    wrapped = [piece for line in lines for piece in _wrap(line, font, width)]
    if len(wrapped) > TEXT_LINES:
        wrapped = [*wrapped[: TEXT_LINES - 1], "..."]
    for number, line in enumerate(wrapped):
        draw.text((at[0], at[1] + number * LINE_HEIGHT), line, font=font, fill="black")


def _wrap(line: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
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
        if len(pieces) > TEXT_LINES:
            break
    return [*pieces, current]
