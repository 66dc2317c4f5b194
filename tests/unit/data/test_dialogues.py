from __future__ import annotations

import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lisa.data.dialogues import TRAINED_TOOLS, SceneFacts, make_dialogue, wordings
from lisa.data.knowledge import load_knowledge
from lisa.data.phrasings import Phrasings
from lisa.data.scenes import scene_relations
from lisa.tokens import SEG_TOKEN
from lisa.tool_calls import read_call

NAMES = load_knowledge().trained_names


@st.composite
def scenes(draw: st.DrawFn) -> SceneFacts:
    """Objects side by side in random boxes that do not overlap."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
    masks = np.zeros((len(names), 40, 100), dtype=bool)
    for place in range(len(names)):
        top = draw(st.integers(0, 30))
        masks[place, top : top + 10, 20 * place : 20 * place + draw(st.integers(1, 20))] = True
    return SceneFacts(tuple(names), masks, scene_relations(list(masks)))


@settings(max_examples=150, deadline=None)
@given(scenes(), st.integers(0, 10_000), st.sampled_from(["train", "eval"]), st.integers(1, 4))
def test_every_dialogue_is_whole(scene, seed, split, count) -> None:
    dialogue = make_dialogue(scene, random.Random(seed), split, count)
    messages = dialogue.conversation.messages
    assert messages == make_dialogue(scene, random.Random(seed), split, count).conversation.messages
    assert len(dialogue.turns) <= count
    assert messages[-1].role == "assistant"
    marks = sum(m.text.count(SEG_TOKEN) for m in messages if m.role == "assistant")
    assert marks == len(dialogue.targets)
    for turn in dialogue.turns:
        assert messages[turn.question].role == "user"
        after = messages[turn.question + 1]
        assert read_call(after.text) == turn.call
        if turn.call is not None:
            assert messages[turn.question + 2].role == "tool"


@settings(max_examples=150, deadline=None)
@given(scenes(), st.integers(0, 10_000))
def test_names_are_known_before_they_are_used(scene, seed) -> None:
    """A call says only names that the model has read, or would have from a note."""
    dialogue = make_dialogue(scene, random.Random(seed), "train", 4)
    read = ""
    for message in dialogue.conversation.messages:
        if message.role == "assistant":
            unknown = set(re.findall(r"#\d+", message.text)) - set(re.findall(r"#\d+", read))
            assert not unknown
        read += message.text


@settings(max_examples=100, deadline=None)
@given(scenes(), st.integers(0, 10_000))
def test_calls_suit_their_tools(scene, seed) -> None:
    tools = {tool.name: tool for tool in TRAINED_TOOLS}
    for turn in make_dialogue(scene, random.Random(seed), "train", 4).turns:
        if turn.call is not None:
            schema = tools[turn.call.name].parameters
            assert set(schema["required"]) <= set(turn.call.arguments)
            assert set(turn.call.arguments) <= set(schema["properties"])


def test_the_signatures_that_the_model_reads() -> None:
    assert [tool.signature for tool in TRAINED_TOOLS] == [
        "tag()",
        "caption()",
        "masks()",
        "relate(subject?, relation?, object?)",
        "describe_region(segment)",
        "measure(what, segments?, of?)",
        "crop(segment)",
        "edit(segment, change)",
    ]


def test_held_out_wordings_are_held_out() -> None:
    groups = [one for one in vars(wordings).values() if isinstance(one, Phrasings)]
    train = {text for one in groups for text in one.train}
    assert len(groups) > 10
    assert train.isdisjoint(text for one in groups for text in one.held_out)


@pytest.mark.parametrize("split", ["train", "eval"])
def test_all_kinds_of_turns_and_references_come_up(split) -> None:
    masks = np.zeros((3, 40, 60), dtype=bool)
    for place in range(3):
        masks[place, 10:30, 20 * place : 20 * place + 18] = True
    scene = SceneFacts(tuple(NAMES[:3]), masks, scene_relations(list(masks)))
    turns = [
        turn
        for seed in range(150)
        for turn in make_dialogue(scene, random.Random(seed), split, 4).turns
    ]
    assert {turn.reference for turn in turns} == {"none", "name", "words", "context"}
    assert {turn.call.name for turn in turns if turn.call} == {t.name for t in TRAINED_TOOLS}
