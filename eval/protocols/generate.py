"""Protocol *generate*: the model writes its own answer, as users get it.

Where it points several times, the masks are united; an answer that points nowhere has the empty
mask, whichever words it found for that. In a dialogue the turns before the question are those of
the data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.answers import to_answer
from eval.questions import Question
from eval.results import Answer

if TYPE_CHECKING:
    from lisa.models import EncodedImage
    from lisa.pipeline import LisaPipeline


class Generate:
    """Lets the model answer; see `eval.protocols.contract.Protocol`."""

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
        """Put N questions about B pictures in one batch."""
        predictions = pipeline.answer(
            images,
            [question.conversation for question in questions],
            image_index,
            max_new_tokens=max_new_tokens,
            min_new_tokens=min_new_tokens,
        )
        return [to_answer(one.segments, one.text, one.new_tokens) for one in predictions]
