"""Dialogues about a scene: a few turns of different kinds, with what a model has to say in each."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from lisa.data.dialogues import tool_turns, turns
from lisa.data.dialogues.state import DialogueState, DialogueTurn, SceneFacts
from lisa.data.phrasings import Split
from lisa.types import Conversation

TURN_MIX: Final[Mapping[Callable[[DialogueState], bool], float]] = MappingProxyType(
    {
        turns.show: 4,
        turns.tag: 1,
        turns.presence: 1.5,
        turns.caption: 0.6,
        turns.masks: 0.5,
        tool_turns.related: 1.6,
        tool_turns.between: 0.8,
        tool_turns.all_relations: 0.3,
        tool_turns.region: 1.2,
        tool_turns.area: 1,
        tool_turns.overlap: 0.5,
        tool_turns.distance: 0.5,
        tool_turns.count: 0.9,
        tool_turns.crop: 0.6,
        tool_turns.edit: 0.7,
    }
)
"""How often each kind of turn is drawn, relative to the others."""

MOST_SEGMENTS: Final = 14
"""Names of a dialogue beyond which no further turn begins."""


@dataclass(frozen=True, eq=False)
class Dialogue:
    """A dialogue and what is right in it.

    Attributes:
        conversation: With the tools that the assistant may call; ends with an answer.
        targets: The object that each `[SEG]` of its answers shows, in order.
        turns: One for each question.
    """

    conversation: Conversation
    targets: tuple[int, ...]
    turns: tuple[DialogueTurn, ...]


def make_dialogue(scene: SceneFacts, rng: random.Random, split: Split, count: int) -> Dialogue:
    """Write a dialogue about a scene.

    Args:
        scene: What is true of it; at least one object.
        rng: Source of all choices.
        split: "train" takes trained wordings and names, "eval" held-out wordings.
        count: Questions.
    """
    state = DialogueState(scene, rng, split)
    kinds, weights = tuple(TURN_MIX), tuple(TURN_MIX.values())
    while len(state.turns) < count and len(state.segments) < MOST_SEGMENTS:
        rng.choices(kinds, weights)[0](state)
    return Dialogue(state.conversation, tuple(state.targets), tuple(state.turns))
