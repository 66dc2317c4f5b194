"""A picture grid of samples: each with its masks drawn in, and what is asked and answered below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from lisa.data.mask_sources import MaskSource
from lisa.errors import DataError
from lisa.images import open_image
from lisa.masks import mask_to_box
from lisa.types import Segment
from lisa.visualize import Cell, draw_grid, draw_segments
from training.samples import Sample


def draw_samples(samples: Sequence[Sample], columns: int = 4, cell: int = 320) -> Image.Image:
    """Draw samples side by side.

    Args:
        samples: One or more; their pictures and masks are read.
        columns: Most cells in a row.
        cell: Width of a cell and greatest height of its picture, in pixels.

    Returns:
        The grid, RGB.

    Raises:
        DataError: If there is nothing to draw, or a mask is damaged or of another size than its
            picture.
        ImageError: If a picture cannot be opened.
    """
    cells = [Cell(_draw_picture(sample, cell), tuple(_words(sample))) for sample in samples]
    return draw_grid(cells, columns, (cell, cell))


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
