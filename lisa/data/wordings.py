"""How a record's expressions are put into questions and answers, by the name of a wording.

A model keeps to the wordings that it was trained on, so fine-tuning begins with those of its
checkpoint, and evaluation asks in one of them. `{thing}` is a name as the data set has it, in lower
case; `{text}` a whole sentence.
"""

from __future__ import annotations

from dataclasses import dataclass

from lisa.data.records import Expression
from lisa.errors import ConfigError
from lisa.tokens import REJECT_TOKEN, SEG_TOKEN


@dataclass(frozen=True)
class Wording:
    """Sentences of questions and answers; one of each tuple is drawn.

    Attributes:
        names: Ask for a thing by its name.
        sentences: Ask by a sentence of the data set.
        reasons: Ask by a sentence, and for the reason.
        answers: To a name.
        sentence_answers: To a sentence, which does not say what the thing is called.
        absent: Say that a thing asked for is not in the picture.
        asked_name: The one question for a name in evaluation, so that scores can be compared.
        asked_sentence: The same for a sentence.
    """

    names: tuple[str, ...]
    sentences: tuple[str, ...]
    reasons: tuple[str, ...]
    answers: tuple[str, ...]
    sentence_answers: tuple[str, ...]
    absent: tuple[str, ...]
    asked_name: str
    asked_sentence: str


_LISA_ANSWERS = (
    f"{SEG_TOKEN}.",
    f"It is {SEG_TOKEN}.",
    f"Here it is: {SEG_TOKEN}.",
    f"Sure, {SEG_TOKEN}.",
    f"Sure, the segmentation result is {SEG_TOKEN}.",
)

WORDINGS: dict[str, Wording] = {
    # In number and role those of LISA (Lai et al. 2023): four short questions, two long ones, three
    # that ask for a reason, five answers with one mask each. Its evaluation asks in the last short
    # and the last long form.
    "lisa": Wording(
        names=(
            "Could you segment the {thing} in this image?",
            "Segment the {thing} in this image, please.",
            "What is {thing} in this image? Please respond with a segmentation mask.",
            "What is {thing} in this image? Please output segmentation mask.",
        ),
        sentences=(
            "{text} Please respond with a segmentation mask.",
            "{text} Please output segmentation mask.",
        ),
        reasons=(
            "{text} Please output segmentation mask and explain why.",
            "{text} Please output segmentation mask and give the reason.",
            "{text} Please output segmentation mask with some explanation.",
        ),
        answers=_LISA_ANSWERS,
        sentence_answers=_LISA_ANSWERS,
        absent=(f"There is no such thing in this image {REJECT_TOKEN}.",),
        asked_name="What is {thing} in this image? Please output segmentation mask.",
        asked_sentence="{text} Please output segmentation mask.",
    ),
    # `lisa-nano` names a thing before it shows it; see `lisa.data.phrasings`.
    "nano": Wording(
        names=("Segment the {thing}.", "Where is the {thing}?", "Please show me the {thing}."),
        sentences=("{text}", "{text} Please segment it."),
        reasons=("{text} Please segment it and explain why.",),
        answers=(f"It is the {{thing}} {SEG_TOKEN}.", f"Here is the {{thing}} {SEG_TOKEN}."),
        sentence_answers=(f"{SEG_TOKEN}.",),
        absent=(f"There is no such thing in the picture {REJECT_TOKEN}.",),
        asked_name="Segment the {thing}.",
        asked_sentence="{text}",
    ),
}


def words_of(said: Expression) -> dict[str, str]:
    """Return what an expression puts in the place of `{text}` and `{thing}`."""
    return {"text": said.text, "thing": said.text.lower()}


def get_wording(name: str) -> Wording:
    """Look a wording up.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name not in WORDINGS:
        raise ConfigError(f"There is no wording {name!r}: choose one of {', '.join(WORDINGS)}.")
    return WORDINGS[name]
