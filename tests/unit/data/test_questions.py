"""Generated questions are repeatable, have one right answer, and keep the splits apart."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

import pytest

from lisa.data import phrasings
from lisa.data.categories import asked_categories, only_one_of
from lisa.data.knowledge import load_knowledge
from lisa.data.phrasings import Phrasings
from lisa.data.questions import (
    TRAINING_MIX,
    Question,
    absent_question,
    category_question,
    list_question,
    make_questions,
    naming_question,
    reasoning_question,
    text_only_knowledge,
    vqa_question,
)
from lisa.errors import DataError
from lisa.tokens import IMAGE_TOKEN, REJECT_TOKEN, SEG_TOKEN

KNOWLEDGE = load_knowledge()
ALL_PHRASINGS = [value for value in vars(phrasings).values() if isinstance(value, Phrasings)]
SCENES = 150


def scenes(seed: int = 0, *, trained: bool = True) -> Iterator[tuple[list[str], random.Random]]:
    rng = random.Random(seed)
    names = KNOWLEDGE.trained_names if trained else tuple(sorted(KNOWLEDGE.objects))
    for _ in range(SCENES):
        yield rng.sample(names, rng.randint(1, 6)), rng


def training_questions() -> Iterator[tuple[list[str], Question]]:
    for present, rng in scenes():
        for question in make_questions(present, rng, split="train", count=8):
            yield present, question


def owner_of(text: str) -> tuple[str, str]:
    return next(
        (item.name, fact.id)
        for item in KNOWLEDGE.objects.values()
        for fact in item.facts
        if fact.text == text
    )


def test_there_are_enough_wordings_and_none_is_in_both_splits() -> None:
    assert len(phrasings.NAMING.train) >= 12
    assert len(phrasings.NAMING.held_out) >= 4
    assert len(phrasings.REASONING.train) >= 15
    assert len(phrasings.REASONING.held_out) >= 5
    assert len(ALL_PHRASINGS) == 8
    for wording in ALL_PHRASINGS:
        assert len(set(wording.train)) == len(wording.train)
        assert set(wording.train).isdisjoint(wording.held_out)


def test_the_same_seed_gives_the_same_questions() -> None:
    present = list(KNOWLEDGE.trained_names[:4])
    first = make_questions(present, random.Random(5), split="train", count=12)
    second = make_questions(present, random.Random(5), split="train", count=12)
    third = make_questions(present, random.Random(6), split="train", count=12)
    assert first == second
    assert first != third
    assert text_only_knowledge(random.Random(1)) == text_only_knowledge(random.Random(1))


def test_answers_have_one_token_for_each_target() -> None:
    for present, question in training_questions():
        assert question.answer.count(SEG_TOKEN) == len(question.targets)
        assert all(0 <= target < len(present) for target in question.targets)
        assert question.answer.count(REJECT_TOKEN) == (question.kind == "absent")
        assert not any(t in question.text for t in (SEG_TOKEN, REJECT_TOKEN, IMAGE_TOKEN))
        assert "{" not in question.text + question.answer
        if question.answer != f"{SEG_TOKEN}.":
            for target in question.targets:
                assert f"{KNOWLEDGE[present[target]].label} {SEG_TOKEN}" in question.answer


def test_training_never_meets_held_out_names_facts_or_wordings() -> None:
    held_out = {wording for group in ALL_PHRASINGS for wording in group.held_out}
    kinds = set()
    for _, question in training_questions():
        kinds.add(question.kind)
        assert not any(question.phrasing.startswith(h) or h in question.phrasing for h in held_out)
        if question.fact is not None:
            name, fact_id = owner_of(question.fact)
            assert name not in KNOWLEDGE.unseen_objects
            assert fact_id not in KNOWLEDGE.unseen_facts[name]
        elif question.kind in ("naming", "absent"):
            for name in KNOWLEDGE.unseen_objects:
                assert not question.text.rstrip(".?").endswith(f"the {KNOWLEDGE[name].label}")
    assert kinds == set(TRAINING_MIX)


def test_a_picture_with_an_object_kept_for_evaluation_is_refused_in_training() -> None:
    unseen = sorted(KNOWLEDGE.unseen_objects)[0]
    rng = random.Random(0)
    with pytest.raises(DataError, match="kept for evaluation"):
        make_questions([unseen], rng, split="train", count=1)
    with pytest.raises(DataError, match="kept for evaluation"):
        reasoning_question([unseen], 0, rng, "train")
    assert naming_question([unseen], 0, rng, "eval") is not None
    assert reasoning_question([unseen], 0, rng, "eval_seen") is None
    assert reasoning_question([unseen], 0, rng, "eval_unseen") is not None


def test_empty_pictures_and_unknown_names_are_refused() -> None:
    rng = random.Random(0)
    with pytest.raises(DataError, match="without objects"):
        make_questions([], rng, split="train", count=1)
    with pytest.raises(DataError, match="unicorn"):
        naming_question(["unicorn"], 0, rng, "eval")


@pytest.mark.parametrize("split", ["train", "eval_seen", "eval_unseen"])
def test_reasoning_has_one_answer_and_the_facts_of_its_split(split: str) -> None:
    asked = 0
    for present, rng in scenes(1):
        for index, name in enumerate(present):
            question = reasoning_question(present, index, rng, split)  # type: ignore[arg-type]
            if question is None:
                continue
            asked += 1
            assert question.fact is not None
            assert question.targets == (index,)
            owner, fact_id = owner_of(question.fact)
            fact = KNOWLEDGE[owner].fact(fact_id)
            assert [p for p in present if KNOWLEDGE.satisfies(p, fact)] == [name]
            held_out = fact_id in KNOWLEDGE.unseen_facts[owner]
            assert held_out == (split == "eval_unseen")
            wordings = phrasings.REASONING.of("train" if split == "train" else "eval")
            assert question.phrasing in wordings
            assert fact.text in question.text
    assert asked > 0.9 * SCENES * 3


def test_ambiguous_names_and_facts_give_no_question() -> None:
    rng = random.Random(0)
    present = ["car", "race car"]
    assert naming_question(present, 0, rng, "eval") is None
    assert naming_question(present, 1, rng, "eval") is not None
    assert naming_question(["cow", "cow"], 0, rng, "eval") is None
    assert reasoning_question(["cow", "cow"], 0, rng, "train") is None
    assert all(reasoning_question(present, 0, rng, "train") is None for _ in range(20))


def test_categories_are_asked_only_of_a_single_member() -> None:
    rng = random.Random(0)
    assert category_question(["cow", "horse"], rng, "train") is None
    question = category_question(["cow", "hammer"], rng, "train")
    assert question is not None
    assert len(question.targets) == 1
    items = [KNOWLEDGE[n] for n in ("cow", "duck", "trumpet")]
    found = {c.noun: only_one_of(c, items) for c in asked_categories()}
    assert found["animal"] is None
    assert found["bird"] == 1
    assert found["musical instrument"] == 2
    # A tomato is a vegetable to some and a fruit to others.
    tomato = [KNOWLEDGE["tomato"], KNOWLEDGE["apple"]]
    assert {c.noun: only_one_of(c, tomato) for c in asked_categories()}["fruit"] is None


def test_absent_things_are_absent() -> None:
    for present, rng in scenes(2):
        question = absent_question(present, rng, "train")
        assert question.targets == ()
        assert SEG_TOKEN not in question.answer
        assert question.answer.endswith(f"{REJECT_TOKEN}.")
        if question.fact is not None:
            owner, fact_id = owner_of(question.fact)
            fact = KNOWLEDGE[owner].fact(fact_id)
            assert not any(KNOWLEDGE.satisfies(name, fact) for name in present)
        else:
            labels = {KNOWLEDGE[name].label for name in present}
            start = question.answer.split(" in the picture")[0]
            assert not any(start.endswith(f"no {label}") for label in labels)


def test_lists_name_every_target_in_order() -> None:
    for present, rng in scenes(3):
        question = list_question(present, rng, "train")
        places = [question.answer.index(KNOWLEDGE[present[t]].label) for t in question.targets]
        if "{first}" not in question.phrasing:
            assert question.targets == tuple(range(len(present)))
        else:
            assert len(set(question.targets)) == 2
        assert places[0] == min(places)
    one = list_question(["cow"], random.Random(0), "train")
    assert f"a cow {SEG_TOKEN}" in one.answer


def test_answers_in_words_are_true() -> None:
    for present, rng in scenes(4):
        question = vqa_question(present, rng, "train")
        labels = [KNOWLEDGE[name].label for name in present]
        if question.answer.startswith("Yes"):
            assert any(question.answer.endswith(f"{label}.") for label in labels)
        elif question.answer.startswith("No"):
            start = question.answer.split(" in the picture")[0]
            assert not any(start.endswith(f" no {label}") for label in labels)
        else:
            assert question.answer.startswith("There ")


def test_eval_split_uses_held_out_wordings_only() -> None:
    held_out = {wording for group in ALL_PHRASINGS for wording in group.held_out}
    requests = phrasings.MASK_ONLY.held_out
    for present, rng in scenes(5, trained=False):
        for question in make_questions(present, rng, split="eval", count=4):
            wording = question.phrasing
            for request in requests:
                wording = wording.removesuffix(f" {request}")
            assert wording in held_out


def test_kinds_can_be_chosen_and_texts_differ() -> None:
    present = list(KNOWLEDGE.trained_names[10:14])
    rng = random.Random(0)
    questions = make_questions(present, rng, split="train", count=6, kinds={"absent": 1.0})
    assert {q.kind for q in questions} == {"absent"}
    assert len({q.text for q in questions}) == len(questions) == 6
    with pytest.raises(dataclasses.FrozenInstanceError):
        questions[0].text = "other"  # type: ignore[misc]


def test_knowledge_in_words_uses_facts_of_training_and_offers_the_answer() -> None:
    trained = {
        fact.text: name
        for name in KNOWLEDGE.trained_names
        for fact in KNOWLEDGE.trained_facts(name)
    }
    rng = random.Random(0)
    for _ in range(300):
        question, answer = text_only_knowledge(rng)
        assert SEG_TOKEN not in answer
        asked = {name for text, name in trained.items() if text in question}
        assert any(KNOWLEDGE[name].definite.lower() == answer[:-1].lower() for name in asked)
