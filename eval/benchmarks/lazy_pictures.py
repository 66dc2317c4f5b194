"""Pictures that are read one by one, when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, overload

from eval.data_sets import Asked, RecordPicture, RecordPlace, make_questions, questions_of
from lisa.data.check import place_of
from lisa.data.readers import Reader
from lisa.data.records import Record
from lisa.data.wordings import Wording

_PictureKind = TypeVar("_PictureKind", covariant=True)

AskRule = Callable[[int, Record], Sequence[Asked]]
"""What is asked about a record, given its number as well."""


class LazyPictures(Sequence[_PictureKind], Generic[_PictureKind]):
    """A sequence whose length is known and whose members are read anew whenever they are asked for.

    A slice is lazy as well.
    """

    def __init__(
        self, length: int, read: Callable[[int], _PictureKind], place: Callable[[int], str]
    ) -> None:
        """Remember how to read.

        Args:
            length: Number of pictures.
            read: Reads picture `index`, from 0.
            place: Says where it stands, for messages about damage.
        """
        self._length = length
        self._read = read
        self._place = place

    def __len__(self) -> int:
        """Return the number of pictures."""
        return self._length

    @overload
    def __getitem__(self, index: int) -> _PictureKind: ...

    @overload
    def __getitem__(self, index: slice) -> LazyPictures[_PictureKind]: ...

    def __getitem__(self, index: int | slice) -> _PictureKind | LazyPictures[_PictureKind]:
        """Read a picture, or choose some.

        Raises:
            LisaError: If what is read is damaged.
            IndexError: If there is no such picture.
        """
        if isinstance(index, int):
            return self._read(range(self._length)[index])
        chosen = range(self._length)[index]
        return LazyPictures(
            len(chosen), lambda one: self._read(chosen[one]), lambda one: self._place(chosen[one])
        )

    def place(self, index: int) -> str:
        """Return where picture `index` stands: a file, a line, a record."""
        return self._place(range(self._length)[index])


def record_pictures(
    reader: Reader, group: str, wording: Wording, rule: AskRule | None = None
) -> LazyPictures[RecordPicture]:
    """Return the pictures of a data set with their questions.

    Args:
        reader: The data set.
        group: Of the questions, and the beginning of their keys.
        wording: How names and sentences are asked for.
        rule: What is asked about a record; None for the rules of `eval.data_sets`.
    """

    def read(index: int) -> RecordPicture:
        record = reader[index]
        if rule is None:
            return questions_of(record, group, reader.task, wording)
        return make_questions(record, group, rule(index, record), wording)

    return LazyPictures(len(reader), read, lambda index: place_of(reader, index))


def pictures_at(places: Sequence[RecordPlace], wording: Wording) -> LazyPictures[RecordPicture]:
    """Return the pictures of records of several data sets with their questions.

    Args:
        places: The records.
        wording: How names and sentences are asked for.
    """

    def read(index: int) -> RecordPicture:
        data_set, number = places[index].data_set, places[index].index
        reader = data_set.reader
        return questions_of(reader[number], data_set.name, reader.task, wording)

    def place(index: int) -> str:
        data_set = places[index].data_set
        return f"{data_set.name}, {place_of(data_set.reader, places[index].index)}"

    return LazyPictures(len(places), read, place)
