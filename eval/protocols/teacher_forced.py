"""Protocol *teacher-forced*: the answer `[SEG].` is given, and its one mask is judged.

This is how LISA's training code validates (Lai et al. 2023; `ValDataset` of the released code). It
measures where the model would point if it had decided to, not what users get: whether it answers
with `[SEG]` at all is not asked, so there is no emission rate, and no text.

- Every question has exactly one mask, that of the given `[SEG]`. Where several things are meant, it
  should cover them all.
- In a dialogue the turns before are those of the data set, with their own `[SEG]`; the answer to
  the last question is `[SEG].` too, whatever the data set says there, and only its mask counts.
- About a thing that is not in the picture the model is made to say `[SEG].` as well: it cannot
  refuse, and is right only if its mask has no pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.questions import Question
from eval.results import Answer, GivenSegment
from lisa.tokens import SEG_TOKEN

if TYPE_CHECKING:
    from lisa.models import EncodedImage
    from lisa.pipeline import LisaPipeline

GIVEN_ANSWER = f"{SEG_TOKEN}."


class TeacherForced:
    """Gives the model its answer; see `eval.protocols.contract.Protocol`."""

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
        """Put N questions about B pictures in one pass; nothing is written, so nothing is cut."""
        segments = pipeline.masks_of_answers(
            images,
            [question.conversation.answer(GIVEN_ANSWER) for question in questions],
            image_index,
        )
        return [
            Answer((GivenSegment(one.mask, round(one.score, 6)),), None, pointed=None)
            for one in segments
        ]
