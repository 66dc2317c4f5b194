"""What a protocol is: how a batch of questions in words is put to a model.

To add one: write a file with a class of this form and enter it in `eval/protocols/__init__.py`.
Clicks and boxes need no words; every protocol answers them alike (`eval.answers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Protocol as Interface

from eval.questions import Question
from eval.results import Answer

if TYPE_CHECKING:
    from lisa.models import EncodedImage
    from lisa.pipeline import LisaPipeline


class Protocol(Interface):
    """Puts questions in words to a model."""

    def ask(
        self,
        pipeline: LisaPipeline,
        images: Sequence[EncodedImage],
        questions: Sequence[Question],
        image_index: Sequence[int],
        *,
        max_new_tokens: int,
        min_new_tokens: int,
    ) -> list[Answer]:
        """Put N questions about B pictures in one batch.

        Args:
            pipeline: What is evaluated.
            images: The pictures, encoded.
            questions: In words.
            image_index: Picture of each question.
            max_new_tokens: Most tokens of an answer, where the model writes it.
            min_new_tokens: Fewest.

        Returns:
            One answer for each question; their seconds are left to the caller.
        """
