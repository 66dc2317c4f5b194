"""What a session holds: pictures, segments with names, turns. None is ever changed in place."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from PIL import Image

from lisa.observations import label
from lisa.types import Conversation, Segment

if TYPE_CHECKING:
    from chat.steps import Answered, Step


@dataclass(frozen=True, eq=False)
class SessionPicture:
    """A picture that is talked about.

    Attributes:
        number: From 1, as people count them.
        image: RGB, upright.
        name: Its file's name, or what a tool calls it; only shown, never opened.
        digest: Of size and pixels; the same picture has the same one.
    """

    number: int
    image: Image.Image
    name: str
    digest: str = field(default="")

    def __post_init__(self) -> None:
        """Compute the digest where it is not given."""
        if not self.digest:
            hashed = sha256(repr(self.image.size).encode() + self.image.tobytes()).hexdigest()
            object.__setattr__(self, "digest", hashed)


@dataclass(frozen=True, eq=False)
class SessionSegment:
    """A segment that later turns can use by its name.

    Attributes:
        name: "#1", "#2" …; never given twice in a session, unless the turn was undone. Absent and
            empty segments have none ("").
        what: What it shows in words, as far as anybody knows.
        picture: Number of its picture, from 1.
        segment: Mask, box, score, status.
        origin: "answer", "person", or the name of the tool that made it.
    """

    name: str
    what: str | None
    picture: int
    segment: Segment
    origin: str

    @property
    def label(self) -> str:
        """What it is called in text, such as "#2 cup"."""
        return label(self.name, self.what)


@dataclass(frozen=True, eq=False)
class Turn:
    """A question and everything that came of it.

    Attributes:
        question: As it was asked.
        picture: Number of the picture that it was asked about.
        steps: All of the turn but `TextAdded`, in order; the last is `answer`.
        answer: The answer.
        pointed: Segments that the person pointed at with this question.
        conversation: What the model read and wrote about this picture, up to this answer.
        segments: All named segments that are new with this turn, those that the person pointed at
            included.
        pictures: Numbers of the pictures that its tools made.
        told: Names of the segments that the model has heard of in the conversation.
        learnt: Segments of earlier turns that got their words in this one, as they were before.
    """

    question: str
    picture: int
    steps: tuple[Step, ...]
    answer: Answered
    pointed: tuple[SessionSegment, ...]
    conversation: Conversation
    segments: tuple[SessionSegment, ...] = ()
    pictures: tuple[int, ...] = ()
    told: frozenset[str] = frozenset()
    learnt: tuple[SessionSegment, ...] = ()


@dataclass(frozen=True, eq=False)
class SessionState:
    """All of a session at one moment; a session only ever swaps one for another.

    Attributes:
        pictures: In order of their numbers; an undone turn may leave a gap.
        segments: All that have names, in order of their numbers.
        turns: Oldest first.
        picture: Number of the picture that is looked at; 0 while there is none.
        pointed: Names of the segments that the person pointed at since the last question on their
            picture.
    """

    pictures: tuple[SessionPicture, ...] = ()
    segments: tuple[SessionSegment, ...] = ()
    turns: tuple[Turn, ...] = ()
    picture: int = 0
    pointed: tuple[str, ...] = ()

    def last_turn(self, picture: int) -> Turn | None:
        """Return the last turn about a picture; None if nobody has asked about it."""
        return next((turn for turn in reversed(self.turns) if turn.picture == picture), None)
