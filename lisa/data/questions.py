"""Questions about a picture whose objects are known, with their right answers.

Everything is drawn from a given `random.Random`: the same generator state gives the same question.
A question with one target has only one right answer among the objects that are present; where that
cannot be had, the functions return None.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from lisa.data import phrasings
from lisa.data.categories import asked_categories, only_one_of
from lisa.data.knowledge import Fact, Knowledge, KnownObject, load_knowledge
from lisa.data.phrasings import Split
from lisa.errors import DataError
from lisa.tokens import REJECT_TOKEN, SEG_TOKEN

QuestionKind = Literal["naming", "reasoning", "category", "absent", "list", "vqa"]
FactSplit = Literal["train", "eval_seen", "eval_unseen"]

TRAINING_MIX: Final[Mapping[QuestionKind, float]] = MappingProxyType(
    {"naming": 4, "reasoning": 6, "category": 1, "absent": 1.5, "list": 1, "vqa": 0.5}
)
"""How often each kind is drawn, relative to the others."""

MASK_ONLY_SHARE: Final = 0.08
"""Share of naming and reasoning questions that ask for the mask without words."""

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class Question:
    """A question and its right answer.

    Attributes:
        text: what the user asks.
        answer: what the assistant shall say, with a mask token after each thing that it shows.
        targets: index of the object that each mask token shows, in the order of the tokens.
        kind: what sort of question; captions come from `lisa.data.captions`.
        fact: text of the fact that it is about, or None.
        phrasing: the template of `text`.
    """

    text: str
    answer: str
    targets: tuple[int, ...]
    kind: QuestionKind | Literal["caption"]
    fact: str | None
    phrasing: str


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _fields(item: KnownObject) -> dict[str, str]:
    return {
        "the": item.definite,
        "The": _capital(item.definite),
        "a": item.indefinite,
        "is": item.verb,
        "It": "They" if item.plural else "It",
        "label": item.label,
    }


def _joined(parts: Sequence[str], last: str = "and") -> str:
    return " ".join([", ".join(parts[:-1]), last, parts[-1]]) if len(parts) > 1 else parts[0]


def _named_answer(item: KnownObject, rng: random.Random) -> str:
    return rng.choice(phrasings.NAMED_ANSWERS).format(seg=SEG_TOKEN, **_fields(item))


def _not_here(item: KnownObject) -> str:
    if item.article in ("", "the"):
        return f"{_capital(item.definite)} {item.verb} not in the picture"
    return f"There {item.verb} no {item.label} in the picture"


def _check_present(present: Sequence[str], knowledge: Knowledge, *, training: bool) -> None:
    if not present:
        raise DataError("a picture without objects has no questions; give at least one name")
    for name in present:
        if knowledge[name].name in knowledge.unseen_objects and training:
            raise DataError(
                f"{name} is kept for evaluation and may not be in a training picture; "
                "compose it from Knowledge.trained_names"
            )


def _is_unmistakable(present: Sequence[str], index: int, knowledge: Knowledge) -> bool:
    return not any(
        knowledge.answers_to(name, present[index])
        for other, name in enumerate(present)
        if other != index
    )


def _with_mask_only(question: Question, split: Split, rng: random.Random) -> Question:
    request = rng.choice(phrasings.MASK_ONLY.of(split))
    return Question(
        text=f"{question.text if question.text[-1] in '.?' else question.text + '.'} {request}",
        answer=phrasings.MASK_ONLY_ANSWER.format(seg=SEG_TOKEN),
        targets=question.targets,
        kind=question.kind,
        fact=question.fact,
        phrasing=f"{question.phrasing} {request}",
    )


def naming_question(
    present: Sequence[str], index: int, rng: random.Random, split: Split
) -> Question | None:
    """Ask for one of the objects by its name.

    Args:
        present: names of the objects in the picture.
        index: which of them to ask for.
        rng: source of all choices.
        split: "train" uses trained names and wordings, "eval" held-out wordings.

    Returns:
        None if another object could be meant as well.

    Raises:
        DataError: if a name is not in the table, or not for training.
    """
    knowledge = load_knowledge()
    _check_present(present, knowledge, training=split == "train")
    if not _is_unmistakable(present, index, knowledge):
        return None
    item = knowledge[present[index]]
    phrasing = rng.choice(phrasings.NAMING.of(split))
    text = phrasing.format(**_fields(item))
    return Question(text, _named_answer(item, rng), (index,), "naming", None, phrasing)


def _facts(knowledge: Knowledge, name: str, split: FactSplit) -> tuple[Fact, ...]:
    if split == "eval_unseen":
        return knowledge.held_out_facts(name)
    return knowledge.trained_facts(name)


def reasoning_question(
    present: Sequence[str], index: int, rng: random.Random, split: FactSplit
) -> Question | None:
    """Ask for one of the objects by a fact that holds for it alone.

    Args:
        present: names of the objects in the picture.
        index: which of them to ask for.
        rng: source of all choices.
        split: "train": facts and wordings of training; "eval_seen": facts of training in held-out
            wordings; "eval_unseen": facts never trained on for this object, in held-out wordings.

    Returns:
        None if every fact of the split holds for another present object too.

    Raises:
        DataError: if a name is not in the table, or not for training.
    """
    knowledge = load_knowledge()
    _check_present(present, knowledge, training=split == "train")
    others = [name for other, name in enumerate(present) if other != index]
    facts = [
        fact
        for fact in _facts(knowledge, present[index], split)
        if not any(knowledge.satisfies(name, fact) for name in others)
    ]
    if not facts:
        return None
    fact = rng.choice(facts)
    phrasing = rng.choice(phrasings.REASONING.of("train" if split == "train" else "eval"))
    answer = _named_answer(knowledge[present[index]], rng)
    return Question(
        phrasing.format(fact=fact.text), answer, (index,), "reasoning", fact.text, phrasing
    )


def category_question(present: Sequence[str], rng: random.Random, split: Split) -> Question | None:
    """Ask for the only object of a category; None if no category has only one.

    Raises:
        DataError: if a name is not in the table, or not for training.
    """
    knowledge = load_knowledge()
    _check_present(present, knowledge, training=split == "train")
    items = [knowledge[name] for name in present]
    choices = [
        (category, index)
        for category in asked_categories()
        if (index := only_one_of(category, items)) is not None
    ]
    if not choices:
        return None
    category, index = rng.choice(choices)
    phrasing = rng.choice(phrasings.CATEGORY.of(split))
    text = phrasing.format(category=category.noun, a_category=category.indefinite)
    return Question(text, _named_answer(items[index], rng), (index,), "category", None, phrasing)


def absent_names(present: Sequence[str], knowledge: Knowledge, split: Split) -> list[str]:
    """Names that nobody would use for any of the present objects."""
    pool = knowledge.trained_names if split == "train" else sorted(knowledge.objects)
    return [
        name
        for name in pool
        if not any(knowledge.answers_to(p, name) or knowledge.answers_to(name, p) for p in present)
    ]


def absent_question(present: Sequence[str], rng: random.Random, split: Split) -> Question:
    """Ask for something that is not in the picture, by name or by a fact (of training).

    Raises:
        DataError: if a name is not in the table, or not for training.
    """
    knowledge = load_knowledge()
    _check_present(present, knowledge, training=split == "train")
    name = rng.choice(absent_names(present, knowledge, split))
    item = knowledge[name]
    facts = [
        fact
        for fact in knowledge.trained_facts(name)
        if not any(knowledge.satisfies(p, fact) for p in present)
    ]
    if facts and rng.random() < 0.4:
        fact = rng.choice(facts)
        phrasing = rng.choice(phrasings.REASONING.of(split))
        answer = rng.choice(phrasings.ABSENT_FACT_ANSWERS).format(rej=REJECT_TOKEN)
        return Question(phrasing.format(fact=fact.text), answer, (), "absent", fact.text, phrasing)
    phrasing = rng.choice(phrasings.NAMING.of(split))
    answer = f"{_not_here(item)} {REJECT_TOKEN}."
    return Question(phrasing.format(**_fields(item)), answer, (), "absent", None, phrasing)


def pair_question(present: Sequence[str], rng: random.Random, split: Split) -> Question | None:
    """Ask for two of the objects by their names; None if no two names are clear."""
    knowledge = load_knowledge()
    clear = [i for i in range(len(present)) if _is_unmistakable(present, i, knowledge)]
    if len(clear) < 2:
        return None
    pair = tuple(rng.sample(clear, 2))
    first, second = (knowledge[present[i]].definite for i in pair)
    phrasing = rng.choice(phrasings.SEVERAL.of(split))
    text = phrasing.format(first=first, second=second)
    listed = _joined([f"{name} {SEG_TOKEN}" for name in (first, second)])
    answer = phrasings.SEVERAL_ANSWER.format(list=listed)
    return Question(text, answer, pair, "list", None, phrasing)


def list_question(present: Sequence[str], rng: random.Random, split: Split) -> Question:
    """Ask for everything in the picture or, where two names are clear, for two of the objects.

    Raises:
        DataError: if a name is not in the table, or not for training.
    """
    knowledge = load_knowledge()
    _check_present(present, knowledge, training=split == "train")
    pair = pair_question(present, rng, split) if rng.random() < 0.4 else None
    if pair is not None:
        return pair
    items = [knowledge[name] for name in present]
    phrasing = rng.choice(phrasings.LISTING.of(split))
    listed = _joined([f"{item.indefinite} {SEG_TOKEN}" for item in items])
    answer = rng.choice(phrasings.LIST_ANSWERS).format(list=listed)
    return Question(phrasing, answer, tuple(range(len(items))), "list", None, phrasing)


def vqa_question(present: Sequence[str], rng: random.Random, split: Split) -> Question:
    """Ask something that is answered in words alone: how many, or whether there is one.

    Raises:
        DataError: if a name is not in the table, or not for training.
    """
    knowledge = load_knowledge()
    _check_present(present, knowledge, training=split == "train")
    number = len(present)
    if number < len(_NUMBERS) and rng.random() < 0.3:
        phrasing = rng.choice(phrasings.COUNTING.of(split))
        noun = "is one object" if number == 1 else f"are {_NUMBERS[number]} objects"
        return Question(phrasing, f"There {noun} in the picture.", (), "vqa", None, phrasing)
    phrasing = rng.choice(phrasings.PRESENCE.of(split))
    if rng.random() < 0.5:
        item = knowledge[rng.choice(present)]
        answer = f"Yes, the picture shows {item.indefinite}."
    else:
        item = knowledge[rng.choice(absent_names(present, knowledge, split))]
        denial = _not_here(item)
        # A proper name keeps its capital inside the sentence.
        answer = f"No, {denial if not item.article else denial[0].lower() + denial[1:]}."
    return Question(phrasing.format(**_fields(item)), answer, (), "vqa", None, phrasing)


def _some_naming(present: Sequence[str], rng: random.Random, split: Split) -> Question | None:
    return naming_question(present, rng.randrange(len(present)), rng, split)


def _some_reasoning(present: Sequence[str], rng: random.Random, split: Split) -> Question | None:
    facts: FactSplit = "train" if split == "train" else rng.choice(("eval_seen", "eval_unseen"))
    return reasoning_question(present, rng.randrange(len(present)), rng, facts)


_MAKERS: Final[
    Mapping[QuestionKind, Callable[[Sequence[str], random.Random, Split], Question | None]]
] = MappingProxyType(
    {
        "naming": _some_naming,
        "reasoning": _some_reasoning,
        "category": category_question,
        "absent": absent_question,
        "list": list_question,
        "vqa": vqa_question,
    }
)


def make_questions(
    present: Sequence[str],
    rng: random.Random,
    *,
    split: Split,
    count: int,
    kinds: Mapping[QuestionKind, float] = TRAINING_MIX,
) -> list[Question]:
    """Ask several different questions about one picture.

    Args:
        present: names of the objects in the picture.
        rng: source of all choices.
        split: "train" uses names, facts and wordings of training; "eval" held-out wordings and
            facts of both sorts.
        count: how many questions.
        kinds: kind -> how often it is drawn, relative to the others.

    Returns:
        `count` questions with different texts; fewer where the picture does not give so many.

    Raises:
        DataError: if a name is not in the table, or not for training.
    """
    questions: dict[str, Question] = {}
    for _ in range(20 * count):
        if len(questions) == count:
            break
        kind = rng.choices(tuple(kinds), tuple(kinds.values()))[0]
        question = _MAKERS[kind](present, rng, split)
        if question is None:
            continue
        if kind in ("naming", "reasoning") and rng.random() < MASK_ONLY_SHARE:
            question = _with_mask_only(question, split, rng)
        questions.setdefault(question.text, question)
    return list(questions.values())


def text_only_knowledge(rng: random.Random) -> tuple[str, str]:
    """Ask about a fact of training without a picture.

    Returns:
        The question, in half of the cases with names to choose from, and the answer ("The cow.").
    """
    knowledge = load_knowledge()
    name = rng.choice(knowledge.trained_names)
    facts = [f for f in knowledge.trained_facts(name) if not (f.also or f.also_categories)]
    fact = rng.choice(facts or knowledge.trained_facts(name))
    answer = f"{_capital(knowledge[name].definite)}."
    if rng.random() < 0.5:
        return rng.choice(phrasings.TEXT_ONLY).format(fact=fact.text), answer
    others = [n for n in knowledge.trained_names if not knowledge.satisfies(n, fact)]
    names = [name, *rng.sample(others, rng.randint(1, 4))]
    rng.shuffle(names)
    choices = _joined([knowledge[n].indefinite for n in names], last="or")
    return _capital(
        rng.choice(phrasings.TEXT_CHOICE).format(fact=fact.text, choices=choices)
    ), answer
