"""Looks at every record, picture and mask of a data set and tells everything that is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from lisa.data.faults import DamagedRecord, Fault
from lisa.data.mask_sources import MaskSource, NoMask
from lisa.data.readers.contract import Reader
from lisa.data.readers.picture_size import picture_size
from lisa.data.record_problems import record_problems
from lisa.data.records import Record
from lisa.errors import DataError, ImageError
from lisa.images import open_image
from lisa.types import ImageSize


@runtime_checkable
class HasPlaces(Protocol):
    """A reader that knows where its records stand, better than by their number."""

    def place(self, index: int) -> str:
        """Return the file, and the line or the part of it, of a record."""


def place_of(reader: Reader, index: int, record: Record | None = None) -> str:
    """Return where a record stands, as exactly as its reader tells.

    Args:
        reader: Of any format.
        index: Of the record.
        record: If it could be read.
    """
    if isinstance(reader, HasPlaces):
        return reader.place(index)
    return f"record {index}" if record is None else f"record {record.key}"


def check_reader(reader: Reader) -> Iterator[Fault]:
    """Yield everything that is wrong with a data set.

    Every record is read, its picture decoded and every one of its masks as well. What is looked
    for: records that cannot be read; pictures that are missing, damaged or of another size than
    noted; masks that are damaged, of another size than the picture, or empty though the thing is
    said to be there; keys that occur twice; and all that `record_problems` tells.

    Args:
        reader: Of any format.
    """
    checker = _Checker()
    for index in range(len(reader)):
        try:
            record: Record | None = reader[index]
            problems = [] if record is None else list(record_problems(record))
            place = place_of(reader, index, record)
        except DamagedRecord as error:
            record, problems, place = error.partial, list(error.problems), error.place
        except DataError as error:
            record, problems, place = None, [str(error)], place_of(reader, index)
        if record is not None:
            problems += checker.key_problems(record, place)
            problems += checker.pixel_problems(record)
        yield from (Fault(place, problem) for problem in problems)


def problems_of(record: Record) -> list[str]:
    """Return everything that is wrong with one record, its pixels included, as `check_reader` does.

    Args:
        record: Of any reader.
    """
    return [*record_problems(record), *_Checker().pixel_problems(record)]


class _Checker:
    """Remembers what was seen: keys, and pictures that several records share."""

    def __init__(self) -> None:
        self._places: dict[str, str] = {}
        self._pictures: dict[Path, ImageSize | str] = {}

    def key_problems(self, record: Record, place: str) -> Iterator[str]:
        if record.key in self._places:
            earlier = self._places[record.key]
            yield f"the id {record.key!r:.60} is taken at {earlier}: give every record its own."
        self._places.setdefault(record.key, place)

    def pixel_problems(self, record: Record) -> Iterator[str]:
        size = self._picture(record.image)
        if isinstance(size, str):
            yield size
            return
        if record.size is not None and record.size != size:
            yield (
                f"the picture has {size.height} x {size.width} pixels (height x width), but "
                f"{record.size.height} x {record.size.width} are noted: is it another picture?"
            )
            return
        for number, target in enumerate(record.targets, 1):
            words = target.expressions[0].text if target.expressions else ""
            for problem in _mask_problems(target.mask, size):
                yield f"target {number} ({words!r:.40}): {problem}"
            if target.ignore is not None:
                for problem in _mask_problems(target.ignore, size):
                    yield f"target {number} ({words!r:.40}), what is ignored: {problem}"
        for dialogue in record.dialogues:
            for number, segment in enumerate(dialogue.segments, 1):
                for problem in _mask_problems(segment, size):
                    yield f"segment {number}: {problem}"

    def _picture(self, image: Path | bytes) -> ImageSize | str:
        if isinstance(image, bytes):
            return _open(image)
        if image not in self._pictures:
            self._pictures[image] = _open(image)
        return self._pictures[image]


def _open(image: Path | bytes) -> ImageSize | str:
    try:
        picture_size(image)  # the header first: it refuses what is missing or huge at no cost
        opened = open_image(image)
    except (DataError, ImageError) as error:
        return str(error)
    return ImageSize(opened.height, opened.width)


def _mask_problems(source: MaskSource, size: ImageSize) -> Iterator[str]:
    if isinstance(source, NoMask):
        return
    try:
        mask = source.read()
    except DataError as error:
        yield str(error)
        return
    if mask.shape != size:
        yield (
            f"its mask has {mask.shape[0]} x {mask.shape[1]} pixels (height x width), but the "
            f"picture has {size.height} x {size.width}: they must be the same."
        )
    elif not mask.any():
        yield "its mask is empty: correct it, or say null if there is no such thing in the picture."


def shared_pictures(train: Iterable[Reader], validation: Iterable[Reader]) -> Iterator[Fault]:
    """Yield the pictures of the validation that are learnt from as well, under whatever name.

    Pictures are the same if their files are, byte by byte (SHA-256).

    Args:
        train: Data sets that are learnt from.
        validation: Data sets that are asked about.
    """
    asked = list(_pictures(validation))
    # Files of different lengths differ, so most of a large training set need not be read.
    lengths = {_length(image) for _, image in asked}
    learnt: dict[str, str] = {}
    for place, image in _pictures(train):
        if _length(image) in lengths:
            learnt.setdefault(_digest(image), place)
    told: set[str] = set()
    for place, image in asked:
        digest = _digest(image)
        if digest in learnt and digest not in told:
            told.add(digest)
            yield Fault(
                place,
                f"its picture is learnt from at {learnt[digest]}: take it out of one of them.",
            )


def _pictures(readers: Iterable[Reader]) -> Iterator[tuple[str, Path | bytes]]:
    for reader in readers:
        seen: set[Path] = set()
        for index in range(len(reader)):
            try:
                record = reader[index]
            except DamagedRecord as error:
                if error.partial is None:
                    continue
                record = error.partial
            except DataError:
                continue  # `check_reader` tells why
            image = record.image
            if isinstance(image, Path):
                if image in seen or not image.is_file():
                    continue
                seen.add(image)
            yield place_of(reader, index, record), image


def _length(image: Path | bytes) -> int:
    return len(image) if isinstance(image, bytes) else image.stat().st_size


def _digest(image: Path | bytes) -> str:
    if isinstance(image, bytes):
        return hashlib.sha256(image).hexdigest()
    with image.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
