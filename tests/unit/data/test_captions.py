from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lisa.data.captions import (
    MOST_RELATIONS,
    REQUESTS,
    CaptionRelation,
    caption_question,
    caption_request,
    worth_saying,
)
from lisa.data.knowledge import load_knowledge
from lisa.data.scenes import MIRRORS, PREDICATES, ObjectRelation
from lisa.errors import DataError

NAMES = load_knowledge().trained_names


@st.composite
def described(draw: st.DrawFn) -> tuple[list[str], list[ObjectRelation], int]:
    """Objects with relations among them, each with its mirror, and a seed."""
    present = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
    relations = set()
    for first in range(len(present)):
        for second in range(first):
            for predicate in draw(st.sets(st.sampled_from(PREDICATES), max_size=2)):
                relations.add(ObjectRelation(first, predicate, second))
                if predicate in MIRRORS:
                    relations.add(ObjectRelation(second, MIRRORS[predicate], first))
    return present, sorted(relations), draw(st.integers(0, 10_000))


@settings(max_examples=200, deadline=None)
@given(described())
def test_the_sentence_says_what_the_question_holds(scene) -> None:
    present, relations, seed = scene
    question = caption_question(present, relations, random.Random(seed), "train")
    assert question == caption_question(present, relations, random.Random(seed), "train")
    assert question.kind == "caption"
    assert question.targets == ()
    assert question.text.endswith(question.phrasing)
    assert question.phrasing in REQUESTS.train
    assert re.fullmatch(r"[^.]+\.", question.answer)
    assert not question.answer[0].islower()
    asked, said = question.text.lower(), question.answer.lower()
    for name in present:
        label = load_knowledge()[name].label.lower()
        assert label in asked
        assert label in said
    assert "  " not in question.answer
    assert "{" not in question.answer
    told = re.search(r"Relations: (.*?)\.", question.text)
    count = 0 if told is None else len(told[1].split(";"))
    assert (count > 0) == bool(relations)
    assert count <= MOST_RELATIONS


@settings(max_examples=100, deadline=None)
@given(described())
def test_relations_worth_saying_bring_in_something_new_each(scene) -> None:
    _, relations, _ = scene
    given_relations = [CaptionRelation(*one) for one in relations]
    chosen = worth_saying(given_relations)
    mentioned: set[int] = set()
    for one in chosen:
        assert one in given_relations
        assert not {one.subject, one.object} <= mentioned
        mentioned |= {one.subject, one.object}
    if len(chosen) < MOST_RELATIONS:
        assert all({one.subject, one.object} <= mentioned for one in given_relations)


def test_what_comes_first_is_said_first() -> None:
    found = [
        CaptionRelation(*one) for one in ((0, "left of", 1), (2, "above", 3), (0, "inside", 2))
    ]
    assert worth_saying(found, 1) == [found[0]]
    # What goes on from a thing that was mentioned, before what brings in two.
    assert worth_saying(found) == [found[0], found[2], found[1]]


def test_a_right_sentence_says_what_is_particular() -> None:
    true = [ObjectRelation(0, "left of", 1), ObjectRelation(2, "inside", 0)]
    true.append(ObjectRelation(1, "right of", 0))
    for seed in range(20):
        text = caption_question(["cow", "apple", "horse"], true, random.Random(seed), "train").text
        assert re.search(r"Relations: [a-z ]*horse inside [a-z ]*cow", text)


def test_articles_and_verbs_are_those_of_the_table() -> None:
    answers = {
        caption_question(["scissors", "apple"], [], random.Random(seed), "eval").answer
        for seed in range(60)
    }
    assert any("are" in answer.split() for answer in answers)
    assert any(re.search(r"\ban apple\b", answer) for answer in answers)
    assert any(re.search(r"\ba red apple\b", answer) for answer in answers)
    assert any(re.search(r"\ban orange apple\b", answer) for answer in answers)
    assert not any(re.search(r"\ban? (red )?scissors\b", answer) for answer in answers)


def test_held_out_requests_are_kept_from_training() -> None:
    assert not set(REQUESTS.train) & set(REQUESTS.held_out)
    question = caption_question(["cow"], [], random.Random(0), "eval")
    assert question.phrasing in REQUESTS.held_out


def test_the_request_carries_names_and_relations() -> None:
    text = caption_request(["red apple", "mug"], [CaptionRelation(0, "left of", 1)], "Go.")
    assert text == "Things: red apple, mug. Relations: red apple left of mug. Go."
    assert caption_request(["mug"], [], "Go.") == "Things: mug. Go."
    with pytest.raises(DataError, match="needs at least one thing"):
        caption_request([], [])
