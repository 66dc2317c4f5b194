"""The things of a picture that tools speak of: segments with names, and what is found by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chat.state import SessionPicture, SessionSegment
from chat.tools.contract import NewSegment, ToolScene
from chat.tools.words import is_kind, kinds_of, means, plain, singulars
from lisa.errors import DataError
from lisa.masks import encode_rle
from lisa.relations.duplicates import mask_ious
from lisa.types import Segment

_SAME = 0.5
"""Two masks with a higher IoU show the same thing, however they were found."""


@dataclass(frozen=True, eq=False)
class Thing:
    """A thing of a picture.

    Attributes:
        segment: Where it is.
        what: What it is, as far as anybody knows.
        known: The segment of the session that shows it, if it has a name already.
    """

    segment: Segment
    what: str | None
    known: SessionSegment | None = None


class Finder:
    """Looks segments up for one call of a tool, and keeps those that got their names by it."""

    def __init__(self, scene: ToolScene) -> None:
        """Note which segments had names before."""
        self.scene = scene
        self._old = {segment.name for segment in scene.segments}
        self._new: dict[str, SessionSegment] = {}

    @property
    def new(self) -> tuple[SessionSegment, ...]:
        """Segments that this call has named, in the order of their names."""
        return tuple(self._new.values())

    def find(self, reference: str) -> SessionSegment:
        """Return the segment that a reference means.

        Raises:
            DataError: If there is none.
        """
        return self.noted(self.scene.find(reference))

    def find_here(self, reference: str) -> SessionSegment:
        """Return the segment of the scene's picture that a reference means.

        Raises:
            DataError: If there is none, or it lies on another picture.
        """
        segment = self.find(reference)
        here = self.scene.picture.number
        if segment.picture != here:
            raise DataError(
                f"{segment.label} is on picture {segment.picture}, and this question is about "
                f"picture {here}: give a segment of this picture."
            )
        return segment

    def picture_of(self, segment: SessionSegment) -> SessionPicture:
        """Return the picture that a segment lies on."""
        return next(one for one in self.scene.pictures if one.number == segment.picture)

    def pair(self, references: Sequence[str]) -> tuple[SessionSegment, SessionSegment]:
        """Return two segments of one picture.

        Raises:
            DataError: If they are not two, or lie on different pictures.
        """
        if len(references) != 2:
            raise DataError(
                f"{len(references)} segments were given: give the names of two, such as "
                '["#1", "#2"].'
            )
        first, second = (self.find(one) for one in references)
        if first.picture != second.picture:
            raise DataError(
                f"{first.label} is on picture {first.picture} and {second.label} on picture "
                f"{second.picture}: give two segments of one picture."
            )
        return first, second

    def noted(self, segment: SessionSegment) -> SessionSegment:
        """Remember a segment that the scene gave a name, and return it."""
        if segment.name not in self._old:
            self._new[segment.name] = segment
        return segment

    def add(self, segment: Segment, what: str | None) -> SessionSegment:
        """Give a segment of the scene's picture its name."""
        return self.noted(self.scene.add(NewSegment(segment, what)))

    def known_as(self, segment: Segment, what: str | None) -> SessionSegment:
        """Return the oldest segment of the scene's picture that shows the same; else a new one."""
        known = self.known()
        ious = mask_ious(
            [encode_rle(segment.mask)], [encode_rle(one.segment.mask) for one in known]
        )
        same = [one for one, iou in zip(known, ious[0], strict=True) if iou > _SAME]
        return same[0] if same else self.add(segment, what)

    def named(self, thing: Thing) -> SessionSegment:
        """Return the segment of the session that shows a thing; it gets a name if it has none."""
        return thing.known or self.add(thing.segment, thing.what)

    def known(self) -> list[SessionSegment]:
        """Return the segments of the scene's picture, oldest first."""
        number = self.scene.picture.number
        return [one for one in self.scene.segments if one.picture == number and one.segment.box]

    def things(self) -> list[Thing]:
        """Return what is known to be in the picture, then what the model finds by name.

        Of segments that show the same the oldest stands for all.
        """
        found = self.scene.workbench.things(self.scene.picture)
        known = self.known()
        names = self.words_for([one.segment for one in known])
        everything = [
            *(Thing(s.segment, s.what or name, s) for s, name in zip(known, names, strict=True)),
            *(Thing(one.segment, one.name) for one in found),
        ]
        return [everything[place] for place in _first_of_each(everything)]

    def things_called(self, words: str | None) -> list[Thing]:
        """Return the things of the scene's picture that words mean; None for all of them.

        What is found by name may leave something out, so a thing that none of them is gets asked
        for by itself.
        """
        things = self.things()
        if words is None:
            return things
        kept = [thing for thing in things if self._is_called(thing, words)]
        if kept or is_kind(words):
            return kept
        found = self.scene.workbench.find(self.scene.picture, [singulars(plain(words))[0]])
        return [Thing(one.segment, one.name) for one in found]

    def _is_called(self, thing: Thing, words: str) -> bool:
        return means(words, self.kinds(thing.segment, thing.what, self.scene.picture))

    def kinds(self, segment: Segment, what: str | None, picture: SessionPicture) -> frozenset[str]:
        """Return all words that may be said of a segment of a picture."""
        return kinds_of(what, np.asarray(picture.image), segment.mask)

    def words_for(
        self, segments: Sequence[Segment], picture: SessionPicture | None = None
    ) -> list[str | None]:
        """Return what segments of a picture show, by what the model finds in it by name.

        Args:
            segments: Masks of the picture.
            picture: None is the scene's.
        """
        from lisa.captions import name_segments

        things = self.scene.workbench.things(picture or self.scene.picture)
        return list(name_segments(segments, things))


def _first_of_each(things: Sequence[Thing]) -> list[int]:
    """Return the places of the things whose mask none before them has."""
    masks = [encode_rle(thing.segment.mask) for thing in things]
    ious = mask_ious(masks, masks)
    kept: list[int] = []
    for place in range(len(things)):
        if not any(ious[place, other] > _SAME for other in kept):
            kept.append(place)
    return kept
