"""Pictures of the evaluation of `lisa-nano`, the objects in them, and what is asked about them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eval.questions import BoolMask, Question, Truth
from lisa.errors import DataError
from lisa.masks import RunLengths, decode_rle, polygons_to_mask
from lisa.types import ImageSize

if TYPE_CHECKING:
    from PIL import Image

GROUPS = (
    "naming",
    "reasoning_seen",
    "reasoning_unseen",
    "photographs",
    "unseen_objects",
    "absent",
    "click",
    "box",
)
"""Groups of questions in the order of the report; each is scored by itself."""

HELD_OUT_CUTOUTS = "held_out_cutouts"
"""Subset of questions whose target is a cut-out, of a trained name, that was never trained on."""


@dataclass(frozen=True)
class OutlinedShape:
    """A mask as polygons.

    Attributes:
        polygons: Each flat `x0, y0, x1, y1, ...` in pixels; united.
        holes: Likewise; taken out of the union.
        size: Size of the picture.
    """

    polygons: tuple[tuple[float, ...], ...]
    holes: tuple[tuple[float, ...], ...]
    size: ImageSize

    def fill(self) -> BoolMask:
        """Draws the shape: `bool (H, W)`."""
        return polygons_to_mask(self.polygons, self.size) & ~polygons_to_mask(self.holes, self.size)


@dataclass(frozen=True)
class PictureObject:
    """One object of a picture.

    Attributes:
        name: What it is.
        shape: Its visible pixels, as run lengths or as an outline.
    """

    name: str
    shape: RunLengths | OutlinedShape

    @property
    def mask(self) -> BoolMask:
        """Visible pixels, `bool (H, W)`."""
        return (
            self.shape.fill() if isinstance(self.shape, OutlinedShape) else decode_rle(self.shape)
        )


@dataclass(frozen=True)
class Picture:
    """A picture with its objects and questions.

    Attributes:
        path: The file.
        sha256: Its digest, so that every score is of the same pixels.
        size: In pixels.
        objects: All objects that questions, or the largest-object baseline, may point at.
        questions: In the order in which they are asked; the group of each is one of `GROUPS`.
    """

    path: Path
    sha256: str
    size: ImageSize
    objects: tuple[PictureObject, ...]
    questions: tuple[Question, ...]

    @property
    def key(self) -> str:
        """Digest of the file: unique, and the same wherever it lies."""
        return self.sha256

    @property
    def file(self) -> Path:
        """Where it lies."""
        return self.path

    def open(self) -> Image.Image:
        """Reads the picture.

        Raises:
            DataError: The file is missing or not the one that the masks were drawn on.
        """
        from lisa.images import open_image

        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror}.") from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise DataError(
                f"{self.path} is not the picture that the masks belong to (its sha256 differs): "
                "install the package versions that constraints.txt names."
            )
        image = open_image(data)
        if (image.height, image.width) != self.size:
            raise DataError(f"{self.path} is {image.size}, its masks are {self.size}.")
        return image

    def truth_of(self, question: Question) -> Truth:
        """Returns the right answer; it has no region where nothing is to be shown."""
        target = () if question.target is None else (self.objects[question.target].mask,)
        return Truth(self.size, target)

    def largest_mask(self) -> BoolMask:
        """Returns the mask of the object with the most visible pixels, `bool (H, W)`."""
        return max((item.mask for item in self.objects), key=np.count_nonzero)


def select_questions(
    pictures: tuple[Picture, ...], groups: tuple[str, ...], limit: int | None
) -> tuple[Picture, ...]:
    """Keeps the questions of some groups.

    Args:
        pictures: All of them.
        groups: Which of `GROUPS` to keep.
        limit: At most so many questions in each group, the first ones; None for all.

    Returns:
        The pictures that have questions left, with only those.
    """
    left = dict.fromkeys(groups, limit if limit is not None else 1 << 60)
    kept = []
    for picture in pictures:
        questions = []
        for question in picture.questions:
            if left.get(question.group, 0) > 0:
                left[question.group] -= 1
                questions.append(question)
        if questions:
            kept.append(replace(picture, questions=tuple(questions)))
    return tuple(kept)
