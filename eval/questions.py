"""What is asked about a picture, and what its right answer is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from lisa.types import Box, Conversation, ImageSize

if TYPE_CHECKING:
    from PIL import Image

BoolMask = NDArray[np.bool_]


@dataclass(frozen=True)
class Question:
    """A question with one right answer.

    Attributes:
        key: Unique over the whole evaluation.
        group: Scored by itself, such as a data set or a kind of question.
        target: Number of the region of its picture that is the right answer; None where the right
            answer is no mask.
        text: The question in words; None for a click or a box.
        point: `(x, y)` in pixels, inside the target; only for a click.
        box: Tight `xyxy` box of the target; only for a box.
        subsets: Names of subsets of the group that are also scored apart.
        turns: What was said up to the question and with it, where it is not the first; answers are
            those of the data set, so that no score depends on an answer before.
        said: The expression as the data set has it, without the words around it; None where there
            is none.
        cohort: Name of the group of pictures that are all asked this expression; None where there
            is no such group.
    """

    key: str
    group: str
    target: int | None
    text: str | None = None
    point: tuple[float, float] | None = None
    box: Box | None = None
    subsets: tuple[str, ...] = ()
    turns: Conversation | None = field(default=None, repr=False)
    said: str | None = None
    cohort: str | None = None

    @property
    def described(self) -> str:
        """What is asked, in words."""
        if self.text is not None:
            return self.text
        return f"click {self.point}" if self.point is not None else f"box {self.box}"

    @property
    def conversation(self) -> Conversation:
        """The turns that end with the question in words."""
        return self.turns or Conversation().ask(self.text or "", image_index=0)


@dataclass(frozen=True, eq=False)
class Truth:
    """The right answer to a question.

    Attributes:
        size: Of the picture.
        regions: One mask `bool (H, W)` for every thing that is meant; none where nothing is to be
            shown.
        ignore: Pixels `bool (H, W)` that a score leaves out; None for none.
    """

    size: ImageSize
    regions: tuple[BoolMask, ...]
    ignore: BoolMask | None = None

    @property
    def mask(self) -> BoolMask:
        """All regions united, `bool (H, W)`."""
        united = np.zeros(self.size, dtype=bool)
        for region in self.regions:
            united |= region
        return united


class Picture(Protocol):
    """A picture with questions about it."""

    @property
    def key(self) -> str:
        """Name of the picture, unique over the whole evaluation."""

    @property
    def file(self) -> Path | None:
        """Where the picture lies; None if it is no file."""

    @property
    def questions(self) -> tuple[Question, ...]:
        """What is asked, in this order."""

    def open(self) -> Image.Image:
        """Read the picture.

        Raises:
            LisaError: If it is missing, damaged or another one.
        """

    def truth_of(self, question: Question) -> Truth:
        """Return the right answer.

        Raises:
            DataError: If it is damaged.
        """
