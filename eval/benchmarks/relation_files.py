"""Files of predicted relations: OpenPSG's submission, and JSON lines with a mask for each segment.

*Submission*: a folder, or its `relation.json`, with a list of pictures

    {"pan_seg_file_name": "12.png", "segments_info": [{"id": 65793, "category_id": 1}, ...],
     "relations": [[0, 1, 15], ...]}

and beside it `panseg/12.png`, COCO's panoptic form; the number is the picture's place in the split,
from 0, and a file name's folders are not read. Classes and predicates count from 1, segments from
0, and the surest relation comes first.

*JSON lines* (`.jsonl`), a picture a line; classes and predicates are names, or numbers from 0:

    {"image_id": "107902",
     "segments": [{"category": "person", "mask": {"size": [427, 640], "counts": "..."}}, ...],
     "relations": [{"subject": 0, "object": 1, "predicate": "standing on", "score": 0.9}, ...]}

Relations are sorted by score, and of several for one ordered pair only the surest counts: the graph
constraint under which PSG is reported. Masks may overlap here.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from eval.metrics import Relation, SceneGraph, one_predicate_per_pair
from lisa.data.readers.paths import read_json
from lisa.data.readers.psg import read_panoptic
from lisa.errors import DataError
from lisa.masks import check_rle_size, decode_rle
from lisa.types import ImageSize

RELATIONS = "relation.json"
MAX_SEGMENTS = 1_000
"""Most segments of a predicted picture, so that a short file cannot ask for all memory."""

_DAMAGE = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
_FORMS = "a submission's folder, its relation.json, or JSON lines (.jsonl)"


class RelationFile(ABC):
    """Predictions for the pictures of a split."""

    @abstractmethod
    def check(self, keys: Sequence[str]) -> None:
        """Check that all predictions are for pictures of the split, before any is scored.

        Raises:
            DataError: If one is not.
        """

    @abstractmethod
    def read(self, index: int, key: str, size: ImageSize) -> SceneGraph | None:
        """Return the predictions for a picture; None for none.

        Args:
            index: Place of the picture in the split, from 0.
            key: Its `image_id`.
            size: Of the picture.

        Raises:
            DataError: If the predictions are damaged or of another size.
        """


def open_relation_file(
    path: Path, classes: Sequence[str], predicates: Sequence[str]
) -> RelationFile:
    """Open predictions by their form.

    Args:
        path: See the module.
        classes: Names by number.
        predicates: Likewise.

    Raises:
        DataError: If nothing is there, or nothing of either form.
    """
    if path.suffix == ".jsonl" and path.is_file():
        return RelationLines(path, classes, predicates)
    listed = path / RELATIONS if path.is_dir() else path
    if path.is_dir() and not listed.is_file() and (path / "submission" / RELATIONS).is_file():
        listed = path / "submission" / RELATIONS
    if listed.suffix == ".json" and listed.is_file():
        return Submission(listed, len(classes), len(predicates))
    raise DataError(f"{str(path)!r} holds no predicted relations: give {_FORMS}.")


class Submission(RelationFile):
    """OpenPSG's submission; see the module."""

    def __init__(self, path: Path, classes: int, predicates: int) -> None:
        """Read the list, but no masks.

        Args:
            path: Of `relation.json`.
            classes: How many there are.
            predicates: Likewise.
        """
        self._path, self._classes, self._predicates = path, classes, predicates
        entries = read_json(path)
        if not isinstance(entries, list):
            raise DataError(f"{str(path)!r} must be a list of pictures.")
        self._entries: dict[int, Mapping[str, Any]] = {}
        for number, entry in enumerate(entries):
            written = entry.get("pan_seg_file_name") if isinstance(entry, dict) else None
            name = PurePosixPath(written) if isinstance(written, str) else PurePosixPath()
            if not name.stem.isdecimal() or int(name.stem) in self._entries:
                raise DataError(
                    f"{str(path)!r}, entry {number}: 'pan_seg_file_name' must be the picture's "
                    f"place in the split, such as '12.png', each once, not {written!r:.60}."
                )
            self._entries[int(name.stem)] = entry

    def check(self, keys: Sequence[str]) -> None:
        """Check the places in the split; see `RelationFile`."""
        beyond = [place for place in self._entries if place >= len(keys)]
        if beyond:
            raise DataError(
                f"{str(self._path)!r} has predictions for picture {min(beyond)}, but the split has "
                f"only {len(keys)}, from 0: are they for another split?"
            )

    def read(self, index: int, key: str, size: ImageSize) -> SceneGraph | None:
        """Return the predictions for a picture; see `RelationFile`."""
        entry = self._entries.get(index)
        if entry is None:
            return None
        place = f"{str(self._path)!r}, {index}.png"
        try:
            segments = entry["segments_info"]
            ids = [int(segment["id"]) for segment in segments]
            labels = [int(segment["category_id"]) - 1 for segment in segments]
            rows = [[int(number) for number in row] for row in entry["relations"]]
            relations = [Relation(s, o, p - 1) for s, o, p in rows]
        except _DAMAGE as error:
            raise DataError(f"{place}: it is of another form ({error!r}).") from error
        _check_count(place, ids)
        _check_numbers(place, labels, self._classes, "category_id", first=1)
        given = [one.predicate for one in relations]
        _check_numbers(place, given, self._predicates, "predicate", first=1)
        numbers = read_panoptic(self._path.parent / "panseg" / f"{index}.png", size)
        masks = np.array([numbers == one for one in ids], bool).reshape(-1, *size)
        return SceneGraph(masks, labels, relations)


class RelationLines(RelationFile):
    """JSON lines with run lengths; see the module."""

    def __init__(self, path: Path, classes: Sequence[str], predicates: Sequence[str]) -> None:
        """Find the line of each picture.

        Args:
            path: Of the file.
            classes: Names by number.
            predicates: Likewise.
        """
        self._path, self._classes, self._predicates = path, classes, predicates
        self._starts: dict[str, int] = {}
        start = 0
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    key = self._key(line, number)
                    if key in self._starts:
                        raise DataError(f"{path}:{number}: {key!r:.40} is there twice.")
                    self._starts[key] = start
                start += len(line)

    def _key(self, line: bytes, number: int) -> str:
        try:
            record = json.loads(line)
            return str(record["image_id"])
        except _DAMAGE as error:
            raise DataError(
                f"{self._path}:{number}: a line must be an object with 'image_id'."
            ) from error

    def check(self, keys: Sequence[str]) -> None:
        """Check the pictures' names; see `RelationFile`."""
        unknown = self._starts.keys() - set(keys)
        if unknown:
            raise DataError(
                f"{str(self._path)!r} has predictions for {min(unknown)!r:.40}, which is no "
                f"picture of the split (nor are {len(unknown) - 1} more): are they for another one?"
            )

    def read(self, index: int, key: str, size: ImageSize) -> SceneGraph | None:
        """Return the predictions for a picture; see `RelationFile`."""
        if key not in self._starts:
            return None
        with self._path.open("rb") as file:
            file.seek(self._starts[key])
            record = json.loads(file.readline())
        place = f"{str(self._path)!r}, image_id {key!r:.40}"
        try:
            return self._graph(record, size)
        except _DAMAGE as error:
            raise DataError(f"{place}: it is of another form ({error!r}).") from error
        except DataError as error:
            raise DataError(f"{place}: {error}") from error

    def _graph(self, record: Mapping[str, Any], size: ImageSize) -> SceneGraph:
        labels, masks = [], []
        _check_count("it", record["segments"])
        for segment in record["segments"]:
            if check_rle_size(segment["mask"]) != size:
                raise DataError(
                    f"a mask is of {segment['mask']['size']} pixels, the picture of {list(size)}."
                )
            masks.append(decode_rle(segment["mask"]))
            labels.append(_number(segment["category"], self._classes, "category"))
        scored = [
            (
                -_score(one.get("score", 0.0)),
                Relation(
                    int(one["subject"]),
                    int(one["object"]),
                    _number(one["predicate"], self._predicates, "predicate"),
                ),
            )
            for one in record["relations"]
        ]
        scored.sort(key=lambda pair: pair[0])  # stable: the file's order where scores are equal
        stacked = np.array(masks, bool).reshape(-1, *size)
        return SceneGraph(stacked, labels, one_predicate_per_pair(one for _, one in scored))


def _score(written: Any) -> float:
    value = float(written)
    if not math.isfinite(value):
        raise DataError(f"a score must be a number, not {value}.")
    return value


def _check_count(place: str, segments: Sequence[Any]) -> None:
    if len(segments) > MAX_SEGMENTS:
        raise DataError(
            f"{place} has {len(segments):,} segments, at most {MAX_SEGMENTS:,} are read: leave out "
            "the least sure ones."
        )


def _number(written: Any, names: Sequence[str], what: str) -> int:
    if isinstance(written, str):
        if written not in names:
            raise DataError(f"there is no {what} {written!r:.40}.")
        return names.index(written)
    number = int(written)
    _check_numbers("", [number], len(names), what)
    return number


def _check_numbers(
    place: str, numbers: Sequence[int], count: int, what: str, first: int = 0
) -> None:
    for one in numbers:
        if not 0 <= one < count:
            before = f"{place}: " if place else ""
            raise DataError(
                f"{before}{what} {one + first} is not from {first} to {count - 1 + first}."
            )
