"""The data that crosses folder borders, as frozen dataclasses, and the one legend of shape letters.

Shape letters, used in every docstring and shape comment of this repository:

    B     pictures in a batch
    N     conversations (or mask prompts) in a batch
    T     tokens of a sequence
    S     `[SEG]` tokens of an answer (or of a batch, where several answers are flattened)
    D     width of the language model
    C     width of the segmenter's prompts
    H, W  height and width of the original picture, in pixels
    h, w  height and width of a feature grid
    P     image tokens of one picture

Sizes are `(height, width)`. Boxes are `xyxy` in pixels of the original picture: `x0, y0` is the
outer edge of the first pixel, `x1, y1` the outer edge behind the last (so `x1 - x0` is the width).
Masks are `bool (H, W)`. Logits, before any sigmoid, have names that end in `_logits`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

Box: TypeAlias = tuple[float, float, float, float]
Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
SegmentStatus: TypeAlias = Literal["found", "empty", "absent"]


class ImageSize(NamedTuple):
    """Size of a picture in pixels, height first."""

    height: int
    width: int


@dataclass(frozen=True)
class TextPart:
    """Words of a message."""

    text: str


@dataclass(frozen=True)
class ImagePart:
    """A picture shown in a message.

    Attributes:
        image_index: Which of the pictures that travel with the conversation, from 0.
    """

    image_index: int = 0


@dataclass(frozen=True, eq=False)
class RegionPart:
    """A region of a picture that a message points at, given as a box, a mask, or both.

    Attributes:
        box: `xyxy` in pixels of the original picture.
        mask: `bool (H, W)` at the size of the original picture.
        image_index: Which of the pictures that travel with the conversation, from 0.
    """

    box: Box | None = None
    mask: NDArray[np.bool_] | None = None
    image_index: int = 0


Part: TypeAlias = TextPart | ImagePart | RegionPart


@dataclass(frozen=True)
class Message:
    """What one side says in one turn.

    Attributes:
        role: Who speaks.
        parts: Text, pictures and regions in the order in which they are said.
    """

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The words of the message: its text parts joined without a separator."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


@dataclass(frozen=True)
class ToolDescription:
    """What a model is told of a tool that it may call.

    Attributes:
        name: Lower-case letters and underscores.
        description: One sentence.
        parameters: JSON schema of the arguments, an object.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]

    @property
    def signature(self) -> str:
        """The tool in one short word, such as "measure(what, segments?)"."""
        required = self.parameters.get("required", ())
        names = [n if n in required else f"{n}?" for n in self.parameters.get("properties", ())]
        return f"{self.name}({', '.join(names)})"


@dataclass(frozen=True)
class Conversation:
    """Turns so far; never changed in place, so a kept conversation can be continued twice.

    Attributes:
        messages: The turns, oldest first.
        tools: What the assistant may call; its templates say how.
    """

    messages: tuple[Message, ...] = ()
    tools: tuple[ToolDescription, ...] = ()

    def ask(self, text: str, image_index: int | None = None) -> Conversation:
        """Returns this conversation with one more question.

        Args:
            text: The question.
            image_index: Which picture the question shows, from 0; None shows no new one.
        """
        shown: tuple[Part, ...] = () if image_index is None else (ImagePart(image_index),)
        return self._with(Message("user", (*shown, TextPart(text))))

    def answer(self, text: str) -> Conversation:
        """Returns this conversation with one more answer of the assistant."""
        return self._with(Message("assistant", (TextPart(text),)))

    def observe(self, text: str) -> Conversation:
        """Returns this conversation with what a tool answered to the assistant's last call."""
        return self._with(Message("tool", (TextPart(text),)))

    def _with(self, message: Message) -> Conversation:
        return replace(self, messages=(*self.messages, message))


@dataclass(frozen=True, eq=False)
class Segment:
    """What one `[SEG]` of an answer points at.

    Attributes:
        mask: `bool (H, W)` at the size of the original picture.
        box: Smallest `xyxy` box around the mask in pixels of the original picture; None if the
            mask is empty.
        score: p(`[SEG]`) times the mean foreground probability inside the mask, in [0, 1].
        status: "found" if the mask has pixels, "empty" if the model pointed but the mask has none,
            "absent" if the model said that the thing is not in the picture.
        phrase: The words of the answer that the `[SEG]` stands for; None if there are none.
        text_span: `(start, end)` of the `[SEG]` in `Prediction.text`, in characters, end excluded.
        image_index: Which picture of the conversation the mask lies on, from 0.
    """

    mask: NDArray[np.bool_]
    box: Box | None
    score: float
    status: SegmentStatus
    phrase: str | None
    text_span: tuple[int, int]
    image_index: int = 0


@dataclass(frozen=True)
class Prediction:
    """An answer: its words, what they point at, and the conversation to continue from.

    Attributes:
        text: The answer, with its `[SEG]` tokens.
        segments: One per `[SEG]`, in the order of the text.
        conversation: The conversation including this answer.
        new_tokens: Length of the answer in tokens, the one that ends it included.
    """

    text: str
    segments: tuple[Segment, ...]
    conversation: Conversation
    new_tokens: int = 0
