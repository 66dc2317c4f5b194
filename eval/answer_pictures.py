"""Answers as pictures: the picture, the right mask and the one that was given, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from eval.questions import BoolMask, Picture, Question
from eval.results import Result
from lisa.visualize import Cell, Colour, draw_grid

_PANEL = 240
_GAP = 4
_TARGET_COLOUR: Colour = (40, 200, 80)
_ANSWER_COLOUR: Colour = (230, 40, 60)


def draw_answers(
    asked: Sequence[tuple[Picture, Question, Result]], columns: int = 2
) -> Image.Image:
    """Draw answers in a grid: picture, right mask (green), given mask (red), and the words.

    Args:
        asked: One or more answers that kept their masks, with what they are about.
        columns: Most answers in a row.

    Returns:
        The grid, RGB.

    Raises:
        LisaError: If a picture or a right answer is damaged.
    """
    cells = [_answer_cell(*one) for one in asked]
    return draw_grid(cells, columns, (3 * _PANEL + 2 * _GAP, _PANEL), text_lines=4)


def _answer_cell(picture: Picture, question: Question, result: Result) -> Cell:
    target = picture.truth_of(question).mask
    given = np.zeros_like(target) if result.masks is None else result.masks.given()
    words = [f"asked: {question.described}", _score(result)]
    if result.answer is not None:
        words.insert(1, f"answer: {result.answer}")
    return Cell(draw_strip(picture.open(), target, given), tuple(words))


def draw_strip(image: Image.Image, target: BoolMask, given: BoolMask) -> Image.Image:
    """Draw picture, right mask (green) and given mask (red) side by side.

    Args:
        image: The picture.
        target: `bool (H, W)`, at the size of the picture.
        given: Likewise.

    Returns:
        RGB, each of the three 240 pixels at its longer side.
    """
    scale = _PANEL / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    # Shrunk first: a picture of a camera would take a second otherwise.
    small = image.convert("RGB").resize((width, height))
    panels = (small, _tint(small, target, _TARGET_COLOUR), _tint(small, given, _ANSWER_COLOUR))
    strip = Image.new("RGB", (3 * width + 2 * _GAP, height), "white")
    for index, panel in enumerate(panels):
        strip.paste(panel, (index * (width + _GAP), 0))
    return strip


def _score(result: Result) -> str:
    absent = "" if result.counts.target else ", not in the picture"
    return f"IoU {result.counts.iou:.3f}{absent} ({result.key})"


def _tint(image: Image.Image, mask: BoolMask, colour: Colour) -> Image.Image:
    pixels = np.asarray(image, dtype=np.float32)
    shrunk = Image.fromarray(mask.astype(np.uint8) * 255).resize(image.size)
    share = np.asarray(shrunk, dtype=np.float32)[..., None] / 255
    # Outside the mask the picture is darkened, so that thin masks and those of its own colour show.
    tinted = share * (0.5 * pixels + 0.5 * np.array(colour)) + (1 - share) * 0.4 * pixels
    return Image.fromarray(tinted.astype(np.uint8))
