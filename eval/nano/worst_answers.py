"""Pictures of the worst answers of each group: the right mask beside the one that was given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from eval.nano.answers import Result
from eval.nano.pictures import BoolMask, Picture, Question
from lisa.masks import decode_rle

ANSWERS_A_GROUP = 6

_TARGET_COLOUR = (40, 200, 80)
_ANSWER_COLOUR = (230, 40, 60)
_PANEL = 320
_CAPTION = 44


def save_worst_answers(
    results: Iterable[Result], pictures: Sequence[Picture], folder: Path
) -> list[Path]:
    """Draws the answers with the lowest IoU of each group.

    Args:
        results: Answers that kept their masks.
        pictures: What was asked about.
        folder: Files named after group, IoU and question are written there.

    Returns:
        The files, worst first within each group.
    """
    asked = {q.key: (picture, q) for picture in pictures for q in picture.questions}
    by_group: dict[str, list[Result]] = {}
    for result in results:
        if result.counts.iou < 1:
            by_group.setdefault(result.group, []).append(result)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for group, answers in by_group.items():
        answers.sort(key=lambda answer: (answer.counts.iou, answer.key))
        for answer in answers[:ANSWERS_A_GROUP]:
            name = f"{group}-{answer.counts.iou:.3f}-{answer.key.replace('/', '-')}.png"
            _draw(*asked[answer.key], answer).save(folder / name)
            written.append(folder / name)
    return written


def _draw(picture: Picture, question: Question, result: Result) -> Image.Image:
    image = picture.open()
    given = np.zeros(picture.size, dtype=bool) if result.mask is None else decode_rle(result.mask)
    panels = (
        _tint(image, picture.target_of(question), _TARGET_COLOUR),
        _tint(image, given, _ANSWER_COLOUR),
    )
    drawn = Image.new("RGB", (2 * _PANEL, _PANEL + _CAPTION), "white")
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(12)
    for index, panel in enumerate(panels):
        panel.thumbnail((_PANEL, _PANEL))
        drawn.paste(panel, (index * _PANEL, _CAPTION))
    if question.text is not None:
        asked = question.text
    else:
        asked = f"click {question.point}" if question.point is not None else f"box {question.box}"
    pen.text((4, 4), f"{asked}  (IoU {result.counts.iou:.3f})", fill="black", font=font)
    pen.text((4, 22), result.answer or "", fill=_ANSWER_COLOUR, font=font)
    return drawn


def _tint(image: Image.Image, mask: BoolMask, colour: tuple[int, int, int]) -> Image.Image:
    pixels = np.asarray(image, dtype=np.float32)
    # Outside the mask the picture is darkened, so that thin masks and those of its own colour show.
    tinted = np.where(mask[..., None], 0.5 * pixels + 0.5 * np.array(colour), 0.4 * pixels)
    return Image.fromarray(tinted.astype(np.uint8))
