"""The next state of a session while a turn makes it: new names and numbers are given here."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chat.limits import SessionLimits
from chat.state import SessionPicture, SessionSegment, SessionState
from lisa.errors import DataError
from lisa.types import Segment

SAME_MASK = 0.9
"""Two masks with a higher IoU are one segment."""

MAX_WORDS = 60
"""Characters that a segment's words may have: they stand in labels and in questions."""

_ARTICLE = re.compile(r"(?:an?|the)\s+", re.IGNORECASE)


class Draft:
    """Pictures and segments of a session, and those that come; the session itself stays as it is.

    Attributes:
        pictures: All, the new ones last.
        segments: All that have names, likewise.
    """

    def __init__(self, state: SessionState, limits: SessionLimits) -> None:
        self.pictures = state.pictures
        self.segments = state.segments
        self._state = state
        self._limits = limits

    def copy(self) -> Self:
        """Return a draft that can be thrown away without a trace in this one."""
        other = type(self)(self._state, self._limits)
        other.pictures, other.segments = self.pictures, self.segments
        return other

    @property
    def new_segments(self) -> tuple[SessionSegment, ...]:
        """Segments that have come."""
        return self.segments[len(self._state.segments) :]

    @property
    def learnt(self) -> tuple[SessionSegment, ...]:
        """Segments of earlier turns that have got words now, as they were before."""
        pairs = zip(self._state.segments, self.segments, strict=False)
        return tuple(before for before, now in pairs if before is not now)

    @property
    def new_pictures(self) -> tuple[SessionPicture, ...]:
        """Pictures that have come."""
        return self.pictures[len(self._state.pictures) :]

    def picture(self, number: int) -> SessionPicture:
        """Return a picture.

        Raises:
            DataError: There is none with this number.
        """
        for picture in self.pictures:
            if picture.number == number:
                return picture
        numbers = ", ".join(str(picture.number) for picture in self.pictures)
        raise DataError(f"there is no picture {number}: there are {numbers or 'none yet'}.")

    def add_picture(self, image: Image.Image, name: str) -> SessionPicture:
        """Give a picture its number.

        Raises:
            DataError: The session is full.
        """
        if len(self.pictures) >= self._limits.pictures:
            raise DataError(
                f"the session holds {self._limits.pictures} pictures already, which is the most: "
                "begin a new one."
            )
        number = max((picture.number for picture in self.pictures), default=0) + 1
        added = SessionPicture(number, image, one_line(name))
        self.pictures = (*self.pictures, added)
        return added

    def add_segment(
        self, segment: Segment, what: str | None, picture: int, origin: str
    ) -> SessionSegment:
        """Give a segment its name.

        Args:
            segment: With a mask of the size of its picture.
            what: What it shows; a leading article is dropped.
            picture: Number of its picture.
            origin: "answer", "person" or a tool's name.

        Raises:
            DataError: The mask is empty or has another size than its picture, or the session is
                full.
        """
        image = self.picture(picture).image
        if segment.mask.shape != (image.height, image.width):
            raise DataError(
                f"a mask of {segment.mask.shape} (height, width) does not lie on picture {picture} "
                f"of {(image.height, image.width)}."
            )
        if segment.box is None:
            raise DataError("the mask has no pixels.")
        if len(self.segments) >= self._limits.segments:
            raise DataError(
                f"the session holds {self._limits.segments} segments already, which is the most: "
                "undo turns or begin a new one."
            )
        number = max((int(one.name[1:]) for one in self.segments), default=0) + 1
        added = SessionSegment(f"#{number}", plain_words(what), picture, segment, origin)
        self.segments = (*self.segments, added)
        return added

    def learn(self, segment: SessionSegment, what: str | None) -> SessionSegment:
        """Give words to a segment that has none; one that has some keeps them."""
        words = plain_words(what)
        if segment.what is not None or words is None:
            return segment
        known = replace(segment, what=words)
        self.segments = tuple(known if one is segment else one for one in self.segments)
        return known

    def same_segment(self, mask: NDArray[np.bool_], picture: int) -> SessionSegment | None:
        """Return the segment of a picture that has this mask already; None if there is none."""
        for known in reversed(self.segments):
            if known.picture == picture and _iou(known.segment.mask, mask) > SAME_MASK:
                return known
        return None


def plain_words(text: str | None) -> str | None:
    """Return words without their leading article, on one line; None if nothing remains."""
    words = one_line(text or "")
    return _ARTICLE.sub("", words, count=1) if _ARTICLE.match(words) else words or None


def one_line(text: str) -> str:
    """Return printable text on one line, cut to `MAX_WORDS` characters."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:MAX_WORDS]


def _iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    if first.shape != second.shape:
        return 0.0
    either = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / either if either else 0.0
