"""What is asked about a picture, and what its right answer is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from lisa.types import Box, Conversation

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
    """

    key: str
    group: str
    target: int | None
    text: str | None = None
    point: tuple[float, float] | None = None
    box: Box | None = None
    subsets: tuple[str, ...] = ()
    turns: Conversation | None = field(default=None, repr=False)

    @property
    def conversation(self) -> Conversation:
        """The turns that end with the question in words."""
        return self.turns or Conversation().ask(self.text or "", image_index=0)


class Picture(Protocol):
    """A picture with questions about it."""

    @property
    def questions(self) -> tuple[Question, ...]:
        """What is asked, in this order."""

    def open(self) -> Image.Image:
        """Read the picture.

        Raises:
            LisaError: If it is missing, damaged or another one.
        """

    def target_of(self, question: Question) -> BoolMask:
        """Return the right answer, `bool (H, W)`; empty where nothing is to be shown.

        Raises:
            DataError: If it is damaged.
        """

    def ignore_of(self, question: Question) -> BoolMask | None:
        """Return the pixels `bool (H, W)` that a score leaves out; None for none."""
