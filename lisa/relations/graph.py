"""A scene graph: the things of a picture as segments, and how they relate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from lisa.errors import DataError
from lisa.masks import decode_rle, encode_rle, mask_to_box
from lisa.types import Segment, SegmentStatus


@dataclass(frozen=True)
class Relation:
    """One thing said of two others, such as "0 holding 2".

    Attributes:
        subject: Place of the subject among the segments, from 0.
        predicate: How it relates to the object.
        object: Place of the object among the segments.
        score: Probability of the predicate for this pair, in [0, 1].
    """

    subject: int
    predicate: str
    object: int
    score: float


@dataclass(frozen=True, eq=False)
class SceneGraph:
    """Segments of one picture and relations between them.

    Attributes:
        segments: The things; masks `bool (H, W)` of one size.
        relations: The surest first.
        names: What each segment shows, None for one that nobody has named; None for no names.
    """

    segments: tuple[Segment, ...]
    relations: tuple[Relation, ...]
    names: tuple[str | None, ...] | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        count = len(self.segments)
        if self.names is not None and len(self.names) != count:
            raise DataError(
                f"A scene graph has {count} segments and {len(self.names)} names: give one each."
            )
        for relation in self.relations:
            if not (0 <= relation.subject < count and 0 <= relation.object < count):
                raise DataError(f"{relation} names a segment that is not among {count}.")

    def name(self, index: int) -> str:
        """Return what to call a segment: its place, and its name where it has one."""
        name = None if self.names is None else self.names[index]
        return str(index) if name is None else f"{index} {name}"

    def sentence(self, relation: Relation) -> str:
        """Return a relation in words, such as "0 person riding 1 horse"."""
        return f"{self.name(relation.subject)} {relation.predicate} {self.name(relation.object)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the graph as values that JSON can hold; masks as COCO run lengths.

        Boxes are `xyxy` in pixels of the picture; `subject` and `object` are places among
        `segments`.
        """
        return {
            "segments": [
                {
                    "name": None if self.names is None else self.names[place],
                    "box": None if segment.box is None else list(segment.box),
                    "score": segment.score,
                    "mask": encode_rle(segment.mask),
                }
                for place, segment in enumerate(self.segments)
            ],
            "relations": [asdict(relation) for relation in self.relations],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` wrote; boxes are found again from the masks.

        Raises:
            DataError: If it is malformed.
        """
        try:
            segments = tuple(_segment(one) for one in data["segments"])
            names = [one["name"] for one in data["segments"]]
            relations = tuple(
                Relation(
                    int(one["subject"]),
                    str(one["predicate"]),
                    int(one["object"]),
                    float(one["score"]),
                )
                for one in data["relations"]
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"This is no scene graph ({type(error).__name__}: {error}): give a record with "
                "segments and relations, as `lisa relate --json` prints it."
            ) from error
        return cls(segments, relations, _names(names))


def _segment(data: Mapping[str, Any]) -> Segment:
    mask = decode_rle(data["mask"])
    status: SegmentStatus = "found" if mask.any() else "empty"
    return Segment(mask, mask_to_box(mask), float(data["score"]), status, None, (0, 0))


def _names(names: Sequence[object]) -> tuple[str | None, ...] | None:
    if all(name is None for name in names):
        return None
    return tuple(None if name is None else str(name) for name in names)
