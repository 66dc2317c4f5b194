"""What a data set says of one picture: the one record type that every reader yields.

Readers know files and formats; they know no tokenizer, no template and no model. Training turns
records into conversations (`training.samples`), evaluation asks about them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from lisa.data.mask_sources import MaskSource, NoMask
from lisa.types import Conversation, ImageSize

Wording: TypeAlias = Literal["name", "sentence"]
"""How an expression is said: "traffic light" and "man in the red shirt" name a thing and take an
article or a template around them; "what would I use to call for help?" is a whole sentence."""


@dataclass(frozen=True)
class Expression:
    """Words that stand for a region.

    Attributes:
        text: As the data set has it, without blanks around it; never empty.
        wording: Whether the words name the thing or are a whole sentence.
    """

    text: str
    wording: Wording = "name"


@dataclass(frozen=True, eq=False)
class Target:
    """One region of a picture and the expressions that stand for it.

    Attributes:
        expressions: One or more, each of which means this region.
        mask: The region; empty if the thing is not in the picture.
        ignore: Pixels that a score leaves out, if there are any.
        explanation: Why the region is the answer, if the data set says so.
    """

    expressions: tuple[Expression, ...]
    mask: MaskSource
    ignore: MaskSource | None = None
    explanation: str | None = None

    @property
    def is_absent(self) -> bool:
        """Whether the data set says that there is no such thing in the picture."""
        return isinstance(self.mask, NoMask)


@dataclass(frozen=True, eq=False)
class Dialogue:
    """Turns about a picture as the data set has them, answers included.

    Attributes:
        conversation: The turns; answers hold a `[SEG]` wherever they point at something.
        segments: One mask for every `[SEG]` in the answers, in reading order.
    """

    conversation: Conversation
    segments: tuple[MaskSource, ...] = ()


@dataclass(frozen=True, eq=False)
class Record:
    """One picture with what is said about it.

    Attributes:
        key: Names the record in messages and in predictions; unique within its reader and the same
            wherever the data set lies.
        image: The picture, a file or the bytes of one.
        size: Of the picture and of every mask, if the data set notes it.
        targets: Regions that one may ask for.
        dialogues: Ready-made conversations.
    """

    key: str
    image: Path | bytes
    size: ImageSize | None = None
    targets: tuple[Target, ...] = ()
    dialogues: tuple[Dialogue, ...] = ()
