"""What a file or folder of another system's masks must be able to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from eval.questions import Picture, Question
from eval.results import Answer
from lisa.types import ImageSize


class GivenMasks(Protocol):
    """Masks of another system, found by question."""

    def find(self, picture: Picture, question: Question, size: ImageSize) -> Answer | None:
        """Return the answer to a question; None if there is none.

        Args:
            picture: That it is about.
            question: What was asked.
            size: Of the picture; masks must have it.

        Raises:
            DataError: If the answer is damaged, of another size, or may belong to several
                questions.
        """

    def left_over(self) -> Sequence[str]:
        """Name what was found for no question."""
