"""What the language model has read of conversations, kept for the pictures asked about last."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chat.state import SessionPicture
    from lisa.models import Reading

MOST_READINGS = 4
"""Pictures for which the language model's cache is kept: it is large."""


class Readings:
    """One reading a picture; whoever uses them holds the models' lock."""

    def __init__(self, most: int = MOST_READINGS) -> None:
        """Keep so many of them."""
        self._most = most
        self._kept: OrderedDict[str, Reading] = OrderedDict()

    def of(self, picture: SessionPicture) -> Reading:
        """Return what was read of the last conversation about a picture; at first nothing."""
        from lisa.models import Reading

        if picture.digest not in self._kept:
            while len(self._kept) >= self._most:
                self._kept.popitem(last=False)
            self._kept[picture.digest] = Reading()
        self._kept.move_to_end(picture.digest)
        return self._kept[picture.digest]
