"""What models have found out about pictures, kept for later questions within a budget of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lisa.captions import NamedThing
    from lisa.models import EncodedImage
    from lisa.tagging.tags import Tag


@dataclass(eq=False)
class KnownPicture:
    """What is known of one picture; parts come as they are needed.

    Attributes:
        encoded: As the model sees it.
        tags: What the tagger says of it, the surest first.
        chances: Probability of every tag that it knows, in units of the tag's threshold.
        things: What was found by name.
    """

    encoded: EncodedImage | None = None
    tags: tuple[Tag, ...] | None = None
    chances: Mapping[str, float] | None = None
    things: tuple[NamedThing, ...] | None = None


class PictureMemory:
    """Known pictures by digest; the one that was used longest ago is forgotten first.

    Not safe for threads: whoever uses the models has their lock.

    Attributes:
        budget: Bytes that may be kept; the picture in use is always kept.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._pictures: OrderedDict[str, KnownPicture] = OrderedDict()
        self._bytes: dict[str, int] = {}

    def __len__(self) -> int:
        """How many pictures are known."""
        return len(self._pictures)

    @property
    def kept_bytes(self) -> int:
        """About how much memory all of it takes."""
        return sum(self._bytes.values())

    def of(self, digest: str) -> KnownPicture:
        """Return what is known of a picture; nothing yet, if it is a new one."""
        known = self._pictures.setdefault(digest, KnownPicture())
        self._pictures.move_to_end(digest)
        return known

    def grew(self, digest: str, more: int) -> None:
        """Note that a known picture takes more bytes now, and forget others that no longer fit."""
        self._bytes[digest] = self._bytes.get(digest, 0) + more
        while self.kept_bytes > self.budget and len(self._pictures) > 1:
            oldest = next(one for one in self._pictures if one != digest)
            del self._pictures[oldest]
            self._bytes.pop(oldest, None)
