"""One judged answer: what was asked, what is right, what was given, and how well they agree.

A result holds all that any score needs, so that answers can be judged again without the model and
without the data set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from eval.metrics import PixelCounts, count_pixels
from eval.questions import BoolMask, Picture, Question, Truth
from lisa.errors import DataError
from lisa.masks import RunLengths, decode_rle, encode_rle
from lisa.types import ImageSize


@dataclass(frozen=True, eq=False)
class GivenSegment:
    """One mask of an answer.

    Attributes:
        mask: `bool (H, W)`, at the size of the picture.
        score: How sure the system is of it, in [0, 1].
    """

    mask: BoolMask
    score: float = 1.0


@dataclass(frozen=True, eq=False)
class Answer:
    """What a system gave to a question.

    Attributes:
        segments: Its masks; where it points several times, the answer is their union.
        text: What it said; None for a click or a box, and for a system that says nothing.
        pointed: How many masks it gave, empty ones included, refusals not; None where it was not
            asked whether to give one.
        seconds: Time taken; questions that are asked together share theirs evenly.
        new_tokens: Length of what it said.
    """

    segments: tuple[GivenSegment, ...]
    text: str | None
    pointed: int | None
    seconds: float = 0.0
    new_tokens: int = 0

    def united(self, size: ImageSize) -> BoolMask:
        """All masks united, `bool (H, W)`; empty if there are none."""
        return Truth(size, tuple(segment.mask for segment in self.segments)).mask


@dataclass(frozen=True)
class KeptSegment:
    """A mask of an answer as run lengths; see `GivenSegment`."""

    mask: RunLengths
    score: float


@dataclass(frozen=True)
class KeptMasks:
    """The masks of a result as COCO run lengths.

    Attributes:
        size: `(height, width)` of the picture.
        regions: What is right; see `eval.questions.Truth`.
        ignore: Pixels that do not count; None for none.
        segments: What was given.
    """

    size: ImageSize
    regions: tuple[RunLengths, ...]
    ignore: RunLengths | None
    segments: tuple[KeptSegment, ...]

    def truth(self) -> Truth:
        """Decode the right answer.

        Raises:
            DataError: If run lengths are damaged.
        """
        regions = tuple(decode_rle(region) for region in self.regions)
        return Truth(self.size, regions, None if self.ignore is None else decode_rle(self.ignore))

    def given(self) -> BoolMask:
        """Decode the masks that were given, united: `bool (H, W)`.

        Raises:
            DataError: If run lengths are damaged.
        """
        return Truth(self.size, tuple(decode_rle(one.mask) for one in self.segments)).mask


@dataclass(frozen=True)
class Result:
    """One judged answer.

    Attributes:
        key: The question's key.
        group: The question's group.
        subsets: The question's subsets.
        picture: Key of the picture; questions about one picture are not independent.
        counts: Agreement of the answer's mask with the right one.
        predicted_pixels: Pixels of the answer's mask that count.
        pointed: How many masks the answer gave, empty ones included; None if the answer was given
            to the system, which then had no choice.
        question: What was asked, in words.
        answer: What was said; None for clicks, boxes and systems that say nothing.
        said: The expression that the question is made of.
        cohort: The question's group of pictures.
        file: Where the picture lies; None if it is no file.
        seconds: Time taken.
        new_tokens: Length of the answer.
        masks: None where they are not kept.
    """

    key: str
    group: str
    subsets: tuple[str, ...]
    picture: str
    counts: PixelCounts
    predicted_pixels: int
    pointed: int | None = 1
    question: str | None = None
    answer: str | None = None
    said: str | None = None
    cohort: str | None = None
    file: str | None = None
    seconds: float = 0.0
    new_tokens: int = 0
    masks: KeptMasks | None = None

    def to_record(self) -> dict[str, Any]:
        """Returns the result as a JSON-ready record."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Result:
        """Reads what `to_record` wrote."""
        fields = dict(record)
        fields["subsets"] = tuple(fields["subsets"])
        fields["counts"] = PixelCounts(**fields["counts"])
        kept = fields["masks"]
        if kept is not None:
            fields["masks"] = KeptMasks(
                ImageSize(*kept["size"]),
                tuple(kept["regions"]),
                kept["ignore"],
                tuple(KeptSegment(**segment) for segment in kept["segments"]),
            )
        return cls(**fields)


def judge(picture: Picture, question: Question, truth: Truth, answer: Answer) -> Result:
    """Judge an answer, and keep its masks."""
    counts, predicted_pixels = _agreement(answer.united(truth.size), truth)
    return Result(
        key=question.key,
        group=question.group,
        subsets=question.subsets,
        picture=picture.key,
        counts=counts,
        predicted_pixels=predicted_pixels,
        pointed=answer.pointed,
        question=question.described,
        answer=answer.text,
        said=question.said,
        cohort=question.cohort,
        file=None if picture.file is None else str(picture.file),
        seconds=round(answer.seconds, 4),
        new_tokens=answer.new_tokens,
        masks=KeptMasks(
            truth.size,
            tuple(encode_rle(region) for region in truth.regions),
            None if truth.ignore is None else encode_rle(truth.ignore),
            tuple(KeptSegment(encode_rle(one.mask), one.score) for one in answer.segments),
        ),
    )


def judge_again(result: Result) -> Result:
    """Count the agreement of kept masks anew.

    Raises:
        DataError: If the masks were not kept, or are damaged.
    """
    if result.masks is None:
        raise DataError(f"The masks of {result.key} were not kept: it cannot be judged again.")
    counts, predicted_pixels = _agreement(result.masks.given(), result.masks.truth())
    return replace(result, counts=counts, predicted_pixels=predicted_pixels)


def _agreement(given: BoolMask, truth: Truth) -> tuple[PixelCounts, int]:
    counted = given if truth.ignore is None else given & ~truth.ignore
    counts = count_pixels(given, truth.mask, truth.ignore)
    return counts, int(np.count_nonzero(counted))
