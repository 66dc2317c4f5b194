"""From what a data set says of a picture to the conversations that a model learns from.

A sample is drawn from a record by a random generator and nothing else, so the generator's seed
decides it. How much is drawn, and of what, follows LISA's data sets by their task (Lai et al. 2023,
section 3.3, and the released training code).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lisa.data.mask_sources import MaskSource
from lisa.data.readers import Task
from lisa.data.records import Dialogue, Expression, Record, Target
from lisa.data.wordings import Wording, get_wording, words_of
from lisa.errors import DataError
from lisa.tokens import SEG_TOKEN
from lisa.types import Conversation


@dataclass(frozen=True)
class SampleSettings:
    """How conversations are drawn from a record.

    Attributes:
        wording: Key of `lisa.data.wordings.WORDINGS`.
        questions: Most questions about one picture, each a conversation of its own.
        explained: Share of explained records that are answered in words alone; the others are
            answered with the mask, and every second of them with the explanation too.
        rejects: Whether a thing that is not there is answered by saying so; otherwise by an empty
            mask, as LISA does.
    """

    wording: str = "lisa"
    questions: int = 3
    explained: float = 0.1
    rejects: bool = False


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture and the conversations about it.

    Attributes:
        key: Of the record.
        image: The picture, a file or the bytes of one.
        dialogues: One or more; answers hold a `[SEG]` for each of their masks.
    """

    key: str
    image: Path | bytes
    dialogues: tuple[Dialogue, ...]


def draw_sample(record: Record, task: Task, settings: SampleSettings, rng: random.Random) -> Sample:
    """Draw the conversations of one sample.

    Args:
        record: Of a reader.
        task: What its data set teaches.
        settings: How much is drawn.
        rng: Decides everything that is drawn.

    Raises:
        DataError: If the record holds nothing to ask for.
    """
    wording = get_wording(settings.wording)
    dialogues: list[Dialogue] = []
    if record.dialogues and (not record.targets or rng.random() < 0.5):
        dialogues = [rng.choice(record.dialogues)]
    elif record.targets:
        asked = _draw_expressions(record.targets, task, settings.questions, rng)
        dialogues = [_ask(target, said, wording, settings, rng) for target, said in asked]
    if not dialogues:
        raise DataError(f"{record.key} has nothing to ask for: give it a target or a dialogue.")
    return Sample(record.key, record.image, tuple(dialogues))


def _draw_expressions(
    targets: Sequence[Target], task: Task, most: int, rng: random.Random
) -> list[tuple[Target, Expression]]:
    """Draw without repetition: regions where names are synonyms, expressions where each counts."""
    if task == "semantic":
        chosen = rng.sample(targets, min(most, len(targets)))
        return [(target, rng.choice(target.expressions)) for target in chosen]
    pairs = [(target, said) for target in targets for said in target.expressions]
    return rng.sample(pairs, min(most, len(pairs)))


def _ask(
    target: Target,
    said: Expression,
    wording: Wording,
    settings: SampleSettings,
    rng: random.Random,
) -> Dialogue:
    sentence = said.wording == "sentence"
    words = words_of(said)
    questions = wording.sentences if sentence else wording.names
    answers = wording.sentence_answers if sentence else wording.answers
    if settings.rejects and target.is_absent:
        return _dialogue(rng.choice(questions), rng.choice(wording.absent), words, target.mask)
    if target.explanation is None:
        return _dialogue(rng.choice(questions), rng.choice(answers), words, target.mask)
    if rng.random() < settings.explained:
        return _dialogue("{text}", "{explanation}", words | _because(target), target.mask)
    if rng.random() < 0.5:
        return _dialogue(rng.choice(questions), rng.choice(answers), words, target.mask)
    answer = rng.choice(answers) + " {explanation}"
    return _dialogue(rng.choice(wording.reasons), answer, words | _because(target), target.mask)


def _because(target: Target) -> dict[str, str]:
    return {"explanation": target.explanation or ""}


def _dialogue(question: str, answer: str, words: dict[str, str], mask: MaskSource) -> Dialogue:
    said = answer.format(**words)
    conversation = Conversation().ask(question.format(**words), image_index=0).answer(said)
    return Dialogue(conversation, (mask,) * answer.count(SEG_TOKEN))
