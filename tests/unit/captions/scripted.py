"""A model that answers by a script, and a picture of two things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from lisa.masks import mask_to_box
from lisa.pipeline import LisaPipeline
from lisa.types import Conversation, Prediction, Segment
from tests.tiny_nano import nano_model, nano_processor

SIDE = 64


def segment(
    left: int, right: int, phrase: str | None = None, score: float = 0.5, status: str = "found"
) -> Segment:
    """Columns of a picture."""
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:, left:right] = True
    return Segment(mask, mask_to_box(mask), score, status, phrase, (0, 0))  # type: ignore[arg-type]


class Scripted(LisaPipeline):
    """Answers by a script; shows that the right questions are asked and what becomes of answers."""

    def __init__(self, script: Mapping[str, tuple[str, Sequence[Segment]]]) -> None:
        super().__init__(nano_model(SIDE), nano_processor(SIDE))
        self.script = script
        self.asked: list[str] = []

    def answer(self, images, conversations: Sequence[Conversation], *_, **__):
        questions = [one.messages[-1].text for one in conversations]
        self.asked += questions
        found = []
        for question, conversation in zip(questions, conversations, strict=True):
            text, segments = next(
                (answer for start, answer in self.script.items() if question.startswith(start)),
                ("There is nothing.", ()),
            )
            found.append(Prediction(text, tuple(segments), conversation.answer(text)))
        return found


COW, CUP = segment(0, 20, "cow"), segment(40, 60, "cup")


def picture() -> Image.Image:
    """A red half and a blue half."""
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[:, :32, 0] = pixels[:, 32:, 2] = 220
    return Image.fromarray(pixels)
