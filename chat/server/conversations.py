"""Which session a request goes on with: one that is remembered, or one made from its messages.

Clients of this protocol send the whole conversation with every question. What the server found on
the way (masks, names, encoded pictures) is kept under a hash of all that was said, so the next
question of the same conversation finds it again, whoever asks. States are immutable: two requests
that go on from the same one never see each other.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from chat.server.bodies import SegmentBody
from chat.server.errors import bad_request
from chat.server.requests import (
    AssistantMessage,
    InstructionMessage,
    Message,
    TextContent,
    UserMessage,
)
from chat.state import SessionState


@dataclass(frozen=True)
class Question:
    """What a person said in one go.

    Attributes:
        text: The words.
        pictures: Addresses of the pictures that came with them.
    """

    text: str
    pictures: tuple[str, ...]


@dataclass(frozen=True)
class Exchange:
    """A question that was answered.

    Attributes:
        question: The question.
        answer: The words of the answer.
        segments: What it pointed at, as far as the client sent it back.
    """

    question: Question
    answer: str
    segments: tuple[SegmentBody, ...]


@dataclass(frozen=True)
class Dialogue:
    """The messages of a request.

    Attributes:
        past: What was asked and answered, oldest first.
        question: The last question, which wants an answer.
    """

    past: tuple[Exchange, ...]
    question: Question

    @property
    def past_key(self) -> str:
        """Stands for all that was said before the question; "" for nothing."""
        key = ""
        for exchange in self.past:
            key = _key(key, exchange.question, exchange.answer)
        return key

    def key_after(self, answer: str) -> str:
        """Return what will stand for all of it once the question is answered."""
        return _key(self.past_key, self.question, answer)

    @classmethod
    def of(cls, messages: Sequence[Message], most_pictures: int) -> Dialogue:
        """Read the messages of a request.

        Args:
            messages: Questions and answers in turns; instructions are passed over.
            most_pictures: Of one request.

        Raises:
            Refusal: 400 if the order makes no sense, or there are too many pictures.
        """
        past: list[Exchange] = []
        open_question: Question | None = None
        for at, message in enumerate(messages):
            if isinstance(message, InstructionMessage):
                continue
            if isinstance(message, UserMessage):
                open_question = _joined(open_question, message)
            elif open_question is None:
                raise bad_request(
                    "an answer of the assistant follows no question: the user speaks first, and "
                    "then both in turns.",
                    f"messages[{at}]",
                )
            else:
                segments = tuple(message.segments or ())
                past.append(Exchange(open_question, _answer_text(message), segments))
                open_question = None
        if open_question is None:
            raise bad_request("the last message must be the user's: ask something.", "messages")
        pictures = sum(len(one.question.pictures) for one in past) + len(open_question.pictures)
        if pictures > most_pictures:
            raise bad_request(
                f"the request shows {pictures} pictures, above the limit of {most_pictures}.",
                "messages",
            )
        return cls(tuple(past), open_question)


def _joined(before: Question | None, message: UserMessage) -> Question:
    content = message.content
    parts = [content] if isinstance(content, str) else content
    texts = [] if before is None else [before.text]
    pictures = [] if before is None else [*before.pictures]
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, TextContent):
            texts.append(part.text)
        else:
            pictures.append(part.image_url.url)
    return Question("\n".join(text for text in texts if text), tuple(pictures))


def _answer_text(message: AssistantMessage) -> str:
    content = message.content or ""
    return content if isinstance(content, str) else "".join(part.text for part in content)


def _key(before: str, question: Question, answer: str) -> str:
    hashed = sha256(before.encode())
    for part in (question.text, *question.pictures, answer):
        # The length first: no two lists of parts may look the same.
        data = part.encode()
        hashed.update(b"%d:" % len(data))
        hashed.update(data)
    hashed.update(b"%d" % len(question.pictures))
    return hashed.hexdigest()


class KeptConversations:
    """States of finished conversations; the one that was used longest ago is forgotten first."""

    def __init__(self, most: int, most_bytes: int) -> None:
        """Begin with none.

        Args:
            most: How many are kept.
            most_bytes: How much memory their pictures and masks may take; what several share is
                counted for each.
        """
        self._most = most
        self._most_bytes = most_bytes
        self._states: OrderedDict[str, tuple[SessionState, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._states)

    @property
    def kept_bytes(self) -> int:
        """About how much memory they take."""
        return self._bytes

    def find(self, key: str) -> SessionState | None:
        """Return the state behind a key; None if it was forgotten or never there."""
        with self._lock:
            if key not in self._states:
                return None
            self._states.move_to_end(key)
            return self._states[key][0]

    def keep(self, key: str, state: SessionState) -> None:
        """Keep a state, and forget others that no longer fit."""
        size = _bytes_of(state)
        with self._lock:
            if key in self._states:
                self._bytes -= self._states.pop(key)[1]
            self._states[key] = (state, size)
            self._bytes += size
            while self._states and (
                len(self._states) > self._most or self._bytes > self._most_bytes
            ):
                self._bytes -= self._states.popitem(last=False)[1][1]


def _bytes_of(state: SessionState) -> int:
    pictures = sum(3 * one.image.width * one.image.height for one in state.pictures)
    # Absent things have empty masks, which stand in the answers only.
    segments = (*state.segments, *(one for turn in state.turns for one in turn.answer.segments))
    masks = {id(one.segment.mask): one.segment.mask.nbytes for one in segments}
    return pictures + sum(masks.values())
