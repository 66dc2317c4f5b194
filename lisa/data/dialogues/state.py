"""A dialogue while it is written: its messages, the segments with names, what was last said."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lisa.data.dialogues.tools import TRAINED_TOOLS
from lisa.data.knowledge import KnownObject, load_knowledge
from lisa.data.phrasings import Split
from lisa.data.scenes.relations import ObjectRelation
from lisa.observations import label, note
from lisa.tool_calls import ToolCall, write_call
from lisa.types import Conversation

ReferenceKind = Literal["none", "name", "words", "context"]
"""How a question means a segment: not at all; "#2"; "the cup"; "it", which only what was said
before tells."""


@dataclass(frozen=True)
class DialogueTurn:
    """A turn of a finished dialogue, for those who judge a model by it.

    Attributes:
        kind: What was asked for.
        question: Place of the question among the messages.
        call: What the model has to call first; None if it has to answer itself.
        reference: How the question means what it is about.
    """

    kind: str
    question: int
    call: ToolCall | None
    reference: ReferenceKind


@dataclass(frozen=True, eq=False)
class SceneFacts:
    """What is true of a picture.

    Attributes:
        names: Of its objects in the knowledge table, back to front.
        masks: bool (objects, H, W).
        relations: All that hold.
    """

    names: tuple[str, ...]
    masks: NDArray[np.bool_]
    relations: tuple[ObjectRelation, ...]

    def item(self, index: int) -> KnownObject:
        """Return an object of the table."""
        return load_knowledge()[self.names[index]]


@dataclass(frozen=True)
class NamedObject:
    """A segment of a dialogue.

    Attributes:
        name: "#1" and so on.
        index: The object that it shows.
        what: The words that the dialogue has for it; None while nobody has said any.
    """

    name: str
    index: int
    what: str | None

    @property
    def label(self) -> str:
        """What it is called in text."""
        return label(self.name, self.what)


@dataclass
class DialogueState:
    """A dialogue that grows; everything is drawn from `rng`."""

    scene: SceneFacts
    rng: random.Random
    split: Split
    conversation: Conversation = Conversation(tools=TRAINED_TOOLS)
    segments: list[NamedObject] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    turns: list[DialogueTurn] = field(default_factory=list)
    focus: tuple[str, ...] = ()
    """Names that the last turn was about."""
    pictures: int = 1
    _noted: list[NamedObject] = field(default_factory=list)

    def ask(
        self, kind: str, text: str, call: ToolCall | None = None, reference: ReferenceKind = "none"
    ) -> None:
        """Add a question, after a note of the segments that were pointed at since the last one."""
        first = not self.conversation.messages
        said = note([one.label for one in self._noted]) + text
        self._noted.clear()
        self.turns.append(DialogueTurn(kind, len(self.conversation.messages), call, reference))
        self.conversation = self.conversation.ask(said, image_index=0 if first else None)

    def ask_tool(
        self,
        kind: str,
        text: str,
        name: str,
        arguments: Mapping[str, Any],
        reference: ReferenceKind = "none",
    ) -> None:
        """Add a question and the call that it needs."""
        call = ToolCall(name, dict(arguments))
        self.ask(kind, text, call, reference)
        self.conversation = self.conversation.answer(write_call(call))

    def observe(self, text: str) -> None:
        """Add what the tool answered."""
        self.conversation = self.conversation.observe(text)

    def answer(self, text: str, focus: Sequence[str] = ()) -> None:
        """Add the assistant's words; they are about the segments in `focus`."""
        self.conversation = self.conversation.answer(text)
        self.focus = tuple(focus)

    def show(self, targets: Sequence[int], whats: Sequence[str | None]) -> list[str]:
        """Give names to what the `[SEG]` of the last answer point at."""
        added = [self.add(index, what) for index, what in zip(targets, whats, strict=True)]
        self.targets += targets
        self._noted += added
        return [one.name for one in added]

    def point(self, index: int) -> NamedObject:
        """Let the person point at an object before the next question."""
        added = self.add(index, None)
        self._noted.append(added)
        self.focus = (added.name,)
        return added

    def add(self, index: int, what: str | None) -> NamedObject:
        """Give an object a name."""
        added = NamedObject(f"#{len(self.segments) + 1}", index, what)
        self.segments.append(added)
        return added

    def named(self, index: int) -> NamedObject:
        """Return an object's newest segment, which tools reuse, or a new one."""
        for one in reversed(self.segments):
            if one.index == index:
                if one.what is None:
                    return self.learn(one)
                return one
        return self.add(index, self.scene.item(index).label)

    def learn(self, segment: NamedObject) -> NamedObject:
        """Give a segment the words for what it shows."""
        known = NamedObject(segment.name, segment.index, self.scene.item(segment.index).label)
        self.segments[self.segments.index(segment)] = known
        return known

    def by_name(self, name: str) -> NamedObject:
        """Return the segment of a name."""
        return self.segments[int(name[1:]) - 1]
