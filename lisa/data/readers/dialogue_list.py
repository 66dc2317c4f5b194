"""What the data sets share that are one JSON list of conversations about pictures of COCO 2017."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lisa.data.mask_sources import MaskSource
from lisa.data.readers.contract import Reader, require_files
from lisa.data.readers.dialogues import conversation_about_picture, refuse_problems
from lisa.data.readers.keys import number_repeats
from lisa.data.readers.paths import read_json, safe_join
from lisa.data.records import Dialogue, Record
from lisa.errors import DataError
from lisa.types import ImageSize, Role


@dataclass(frozen=True, eq=False)
class ReadItem:
    """What an item of a list says.

    Attributes:
        image: File of the picture.
        turns: Who speaks and what is said.
        segments: One mask for every `[SEG]` in the answers.
        size: Of the picture, where the reader had to look at it.
    """

    image: Path
    turns: list[tuple[Role, str]]
    segments: tuple[MaskSource, ...] = ()
    size: ImageSize | None = None


class DialogueList(Reader):
    """A list of which every item becomes a record with one dialogue; it has no splits.

    `root` is the folder `dataset` of LISA's layout; pictures are in `coco/train2017`. Items are
    named by what `_name` finds in them, further ones of the same name "name/1" and so on.

    Attributes:
        title: What the release is called.
        file: The list, below `root`.
        items: What the items are called where the list is damaged.
    """

    task = "dialogue"
    title: ClassVar[str]
    file: ClassVar[str]
    items: ClassVar[str]

    def __init__(self, root: Path, split: str | None = None) -> None:
        self.chosen_split(split)
        self._path = root / self.file
        self._pictures = root / "coco" / "train2017"
        require_files(self.title, self._path, self._pictures)
        items = read_json(self._path)
        if not isinstance(items, list) or not items:
            raise DataError(f"{str(self._path)!r} must be a list of one or more {self.items}.")
        self._items: list[Any] = items
        names = (self._name(item) if isinstance(item, dict) else None for item in items)
        self._keys = number_repeats(name or f"item {place}" for place, name in enumerate(names))

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._items)

    def __getitem__(self, index: int) -> Record:
        """Read an item; its picture is not opened, at most its size is read."""
        item, key = self._items[index], self._keys[index]
        place = f"{str(self._path)!r}, record {key!r}"
        try:
            if not isinstance(item, dict):
                raise DataError(f"it must be an object, not {item!r:.80}.")
            read = self._read_item(item, place)
        except DataError as error:
            raise DataError(f"{place}: {error}") from error
        dialogue = Dialogue(conversation_about_picture(read.turns), read.segments)
        return refuse_problems(Record(key, read.image, read.size, dialogues=(dialogue,)), place)

    @abstractmethod
    def _name(self, item: Mapping[str, Any]) -> str | None:
        """Return the name that the data set gives an item, if it has one."""

    @abstractmethod
    def _read_item(self, item: Mapping[str, Any], place: str) -> ReadItem:
        """Read an item.

        Args:
            item: As the file has it.
            place: The file and the item, for messages that come later than this call.

        Raises:
            DataError: If it is damaged; the place is put before the sentence.
        """

    def _picture(self, name: str) -> Path:
        return safe_join(self._pictures, name)
