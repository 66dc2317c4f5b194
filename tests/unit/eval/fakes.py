"""Pictures and pipelines whose scores are known beforehand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from eval.nano.pictures import GROUPS, HELD_OUT_CUTOUTS, Picture, PictureObject
from eval.questions import Question
from lisa.masks import encode_rle, mask_to_box
from lisa.types import Box, Conversation, ImageSize, Prediction, Segment


def segment(mask: np.ndarray) -> Segment:
    """A segment with nothing but a mask."""
    status = "found" if mask.any() else "empty"
    return Segment(mask, mask_to_box(mask), 1.0, status, None, (0, 5))


class FakeProcessor:
    """Prepares nothing: a picture stands for itself."""

    def encode_images(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        return list(images)


class FakePipeline:
    """All that an evaluation asks of a pipeline, but for the answers."""

    processor = FakeProcessor()

    def encode_inputs(self, inputs: list[Image.Image]) -> list[Image.Image]:
        return inputs

    def prompt_length(self, conversation: Conversation, size: ImageSize) -> int:
        return sum(len(message.text) for message in conversation.messages)

    def kept_bytes(self, size: ImageSize) -> int:
        return 1000


class OraclePipeline(FakePipeline):
    """Knows every right answer: shows that a perfect model scores 1 everywhere.

    It gives each mask in two halves, as an answer with several `[SEG]` may. `asked` counts
    questions, and it gives up (as if interrupted) after `patience` of them.
    """

    def __init__(self, pictures: Sequence[Picture], patience: int = 1 << 30) -> None:
        self._right: dict[tuple[str, object], np.ndarray] = {}
        self.asked = 0
        self.patience = patience
        for picture in pictures:
            digest = _digest(picture.open())
            for question in picture.questions:
                key = question.text or question.point or question.box
                self._right[digest, key] = picture.truth_of(question).mask

    def _segments(self, image: Image.Image, key: object) -> tuple[Segment, ...]:
        if self.asked == self.patience:
            raise KeyboardInterrupt
        self.asked += 1
        mask = self._right[_digest(image), key]
        if not mask.any():
            return ()
        upper = mask.copy()
        upper[mask.shape[0] // 2 :] = False
        return segment(upper), segment(mask & ~upper)

    def answer(
        self,
        images: Sequence[Image.Image],
        conversations: Sequence[Conversation],
        image_index: Sequence[int],
        *,
        max_new_tokens: int,
        min_new_tokens: int,
    ) -> list[Prediction]:
        predictions = []
        for conversation, index in zip(conversations, image_index, strict=True):
            segments = self._segments(images[index], conversation.messages[-1].text)
            predictions.append(Prediction("here", segments, conversation, 2))
        return predictions

    def segment_region(
        self,
        image: Image.Image,
        *,
        points: Sequence[tuple[float, float]] = (),
        boxes: Sequence[Box] = (),
        apart: bool = False,
    ) -> list[Segment]:
        united = []
        for key in (*points, *boxes):
            upper, lower = self._segments(image, key)
            united.append(segment(upper.mask | lower.mask))
        return united


class SilentPipeline(FakePipeline):
    """Never shows anything: shows that only absent objects are then right."""

    def answer(
        self,
        images: Sequence[Image.Image],
        conversations: Sequence[Conversation],
        image_index: Sequence[int],
        *,
        max_new_tokens: int,
        min_new_tokens: int,
    ) -> list[Prediction]:
        return [Prediction("I do not know.", (), asked) for asked in conversations]

    def segment_region(
        self,
        image: Image.Image,
        *,
        points: Sequence[tuple[float, float]] = (),
        boxes: Sequence[Box] = (),
        apart: bool = False,
    ) -> list[Segment]:
        empty = np.zeros((image.height, image.width), dtype=bool)
        return [segment(empty) for _ in (*points, *boxes)]


def make_pictures(folder: Path, count: int = 3) -> tuple[Picture, ...]:
    """Pictures of a large and a small rectangle, every group asking for the small one."""
    made = []
    for index in range(count):
        size = ImageSize(40, 50 + index)
        large, small = np.zeros(size, bool), np.zeros(size, bool)
        large[5:35, 2:20], small[10:14, 25:35] = True, True
        path = folder / f"{index}.png"
        Image.fromarray((large * 100 + small * 50 + index).astype(np.uint8)).save(path)
        questions = [
            Question(f"{index}/{group}", group, 1, text=f"{group}?")
            for group in GROUPS
            if group not in ("absent", "click", "box")
        ]
        questions += [
            Question(f"{index}/absent", "absent", None, text="absent?"),
            Question(f"{index}/click", "click", 1, point=(27.0, 12.0), subsets=(HELD_OUT_CUTOUTS,)),
            Question(f"{index}/box", "box", 1, box=(25.0, 10.0, 35.0, 14.0)),
        ]
        objects = tuple(
            PictureObject(n, encode_rle(m)) for n, m in (("big", large), ("toy", small))
        )
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        made.append(Picture(path, sha256, size, objects, tuple(questions)))
    return tuple(made)


def _digest(image: Image.Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()
