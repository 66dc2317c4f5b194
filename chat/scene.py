"""What one call of a tool sees of a session, and where it puts what it finds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chat.draft import Draft, plain_words
from chat.state import SessionPicture, SessionSegment
from chat.tools.contract import NewPicture, NewSegment, ToolScene
from lisa.errors import DataError

if TYPE_CHECKING:
    from chat.cancellation import Cancellation
    from chat.workbench import Workbench

# A name alone, or a whole label such as "#2 cup".
_NAME = re.compile(r"#?(\d{1,6})|#(\d{1,6})\b.*", re.DOTALL)


class DraftScene(ToolScene):
    """The scene of one call: all that it adds goes into a draft that may still be thrown away."""

    def __init__(
        self,
        draft: Draft,
        picture: SessionPicture,
        tool: str,
        workbench: Workbench,
        cancellation: Cancellation,
    ) -> None:
        self.picture = picture
        self.workbench = workbench
        self.cancellation = cancellation
        self._draft = draft
        self._tool = tool

    @property
    def segments(self) -> Sequence[SessionSegment]:
        """All segments that have names, oldest first."""
        return self._draft.segments

    @property
    def pictures(self) -> Sequence[SessionPicture]:
        """All pictures; a segment that `find` returns may lie on any of them."""
        return self._draft.pictures

    def find(self, reference: str) -> SessionSegment:
        """Return the segment that a reference means.

        A name may be that of a segment on any picture. Words mean a segment of this picture: one
        that is called so (of several the newest), else one whose words hold them, else what the
        model finds when it is asked for it.

        Raises:
            DataError: If there is none.
        """
        named = _NAME.fullmatch(reference.strip())
        if named:
            return self._named(f"#{int(named[1] or named[2])}")
        words = plain_words(reference)
        if words is None:
            raise DataError('a reference is empty: write a name such as "#1", or words.')
        return self._called(words) or self._looked_for(words)

    def _named(self, name: str) -> SessionSegment:
        for segment in self.segments:
            if segment.name == name:
                return segment
        names = ", ".join(segment.label for segment in self.segments[-20:])
        raise DataError(f"there is no segment {name}; there are: {names or 'none yet'}.")

    def _called(self, words: str) -> SessionSegment | None:
        wanted = words.casefold().split()
        here = [one for one in reversed(self.segments) if one.picture == self.picture.number]
        for segment in here:
            if (segment.what or "").casefold().split() == wanted:
                return segment
        for segment in here:
            known = (segment.what or "").casefold().split()
            if set(wanted) <= set(known):
                return segment
        return None

    def _looked_for(self, words: str) -> SessionSegment:
        self.cancellation.check()
        things = self.workbench.find(self.picture, [words])
        if not things:
            raise DataError(f"there is no {words} in picture {self.picture.number}.")
        return self.add(NewSegment(things[0].segment, words))

    def add(self, found: NewSegment) -> SessionSegment:
        """Give a segment its name. One that has the same mask by IoU > 0.9 keeps its old name.

        It also keeps its words; if it has none, it gets those of the new one.
        """
        number = found.picture or self.picture.number
        same = self._draft.same_segment(found.segment.mask, number)
        if same is not None:
            return self._draft.learn(same, found.what)
        return self._draft.add_segment(found.segment, found.what, number, self._tool)

    def add_picture(self, made: NewPicture) -> SessionPicture:
        """Give a picture its number."""
        return self._draft.add_picture(made.image, made.name)
