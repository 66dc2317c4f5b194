"""How a question means a segment, and what a call then has to say."""

from __future__ import annotations

from dataclasses import dataclass

from lisa.data.dialogues import wordings
from lisa.data.dialogues.state import DialogueState, NamedObject, ReferenceKind

_BY_WORDS = 0.3
_FROM_CONTEXT = 0.6


@dataclass(frozen=True)
class Reference:
    """A segment as a question means it.

    Attributes:
        words: In the question: "#2", "the cup", "it".
        argument: In the call: "#2", or words that a tool looks for.
        index: The object.
        kind: How it is meant.
    """

    words: str
    argument: str
    index: int
    kind: ReferenceKind


def refer(state: DialogueState) -> Reference:
    """Draw something to ask about, and how to mean it."""
    from_context = _context(state)
    if from_context is not None and state.rng.random() < _FROM_CONTEXT:
        return from_context
    unique = _unmistakable(state)
    if unique and (not state.segments or state.rng.random() < _BY_WORDS):
        return _by_words(state, state.rng.choice(unique))
    if not state.segments:
        return _by_words(state, state.rng.randrange(len(state.scene.names)))
    return by_name(state.rng.choice(state.segments))


def refer_to_two(state: DialogueState) -> tuple[Reference, Reference] | None:
    """Draw two different objects, each meant by its name or by words; None if there is one only."""
    first = refer(state)
    named = [one for one in state.segments if one.index != first.index]
    others = [i for i in _unmistakable(state) if i != first.index]
    if named and (not others or state.rng.random() > _BY_WORDS):
        return first, by_name(state.rng.choice(named))
    return (first, _by_words(state, state.rng.choice(others))) if others else None


def by_name(segment: NamedObject) -> Reference:
    """Mean a segment by its name."""
    return Reference(segment.name, segment.name, segment.index, "name")


def _by_words(state: DialogueState, index: int) -> Reference:
    item = state.scene.item(index)
    return Reference(item.definite, item.label, index, "words")


def _unmistakable(state: DialogueState) -> list[int]:
    names = state.scene.names
    labels = [state.scene.item(i).label for i in range(len(names))]
    return [i for i in range(len(names)) if labels.count(labels[i]) == 1]


def _context(state: DialogueState) -> Reference | None:
    """Mean what was last talked about, or the other one of two."""
    if len(state.focus) != 1:
        return None
    last = state.by_name(state.focus[0])
    others = [one for one in state.segments if one.index != last.index]
    if len(state.segments) == 2 and len(others) == 1 and state.rng.random() < 0.4:
        other = others[0]
        return Reference(state.rng.choice(wordings.OTHER), other.name, other.index, "context")
    return Reference(state.rng.choice(wordings.PRONOUNS), last.name, last.index, "context")
