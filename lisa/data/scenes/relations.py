"""How the objects of a scene relate: exact, from their visible masks and the order of painting.

Of two objects A and B, neither of which is inside the other unless said so:

- *left of*: the middle of A's box lies to the left of the middle of B's. The distance along a row,
  divided by the mean width of the two boxes, is at least one half, and at least the distance along
  a column divided by their mean height. *right of* is the same seen from B.
- *above*: likewise along a column, where that share is the larger one. *below* is the same seen
  from B. So two objects have one direction, or none where they lie nearly behind each other.
- *in front of*: A was painted later, and a tenth or more of the surroundings of A or of B belongs
  to the other: in a scene, only a thing that hides a part of another borders on it at such length.
  *behind* is the same seen from B.
- *touching*: a pixel of A lies within two rows and columns of one of B, and neither is in front of
  the other. It holds both ways.
- *inside*: four fifths or more of the surroundings of A belong to B, and the box of A lies within
  the larger box of B. It has no mirror: that A is inside B says nothing else of B. It excludes
  directions, but A is also in front of B, or behind it where A is seen through a hole of B.

The surroundings of an object are the pixels within two rows and columns of its mask, outside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lisa.contacts import surrounding_shares
from lisa.errors import DataError
from lisa.masks import mask_to_box
from lisa.types import Box

Predicate: TypeAlias = Literal[
    "left of", "right of", "above", "below", "in front of", "behind", "touching", "inside"
]

PREDICATES: Final[tuple[Predicate, ...]] = (
    "left of",
    "right of",
    "above",
    "below",
    "in front of",
    "behind",
    "touching",
    "inside",
)
"""What relations of a scene can say, in the order of a model's scores."""

MIRRORS: Final[Mapping[Predicate, Predicate]] = MappingProxyType(
    {
        "left of": "right of",
        "right of": "left of",
        "above": "below",
        "below": "above",
        "in front of": "behind",
        "behind": "in front of",
        "touching": "touching",
    }
)
"""If a predicate holds of A and B, its mirror holds of B and A."""

_APART = 0.5
_HIDING = 0.1
_ENCLOSED = 0.8

BoolMask = NDArray[np.bool_]


class ObjectRelation(NamedTuple):
    """One thing that is true of two objects.

    Attributes:
        subject: Place among the objects, back to front.
        predicate: How the subject relates to the object.
        object: Place among the objects.
    """

    subject: int
    predicate: Predicate
    object: int


def scene_relations(masks: Sequence[BoolMask]) -> tuple[ObjectRelation, ...]:
    """Return all that is true of the objects of a scene, by the definitions above.

    Args:
        masks: Visible pixels of each object, bool (H, W), back to front; they do not overlap.

    Returns:
        Ordered by subject, object and `PREDICATES`.

    Raises:
        DataError: If an object has no visible pixel.
    """
    boxes = [_box(place, mask) for place, mask in enumerate(masks)]
    shares = surrounding_shares(masks)
    found = []
    for subject in range(len(masks)):
        for other in range(len(masks)):
            if subject != other:
                true = _predicates(subject, other, boxes, shares)
                found += [ObjectRelation(subject, p, other) for p in PREDICATES if p in true]
    return tuple(found)


def is_inside(mask: BoolMask, other: BoolMask) -> bool:
    """Whether an object is inside another one, by the definition above; both are visible pixels."""
    boxes = [_box(place, one) for place, one in enumerate((mask, other))]
    return _is_inside(0, 1, boxes, surrounding_shares((mask, other)))


def _box(place: int, mask: BoolMask) -> Box:
    box = mask_to_box(mask)
    if box is None:
        raise DataError(f"object {place} has no visible pixel, so it relates to nothing")
    return box


def _predicates(
    subject: int, other: int, boxes: Sequence[Box], shares: NDArray[np.float64]
) -> set[Predicate]:
    true: set[Predicate] = set()
    inside = _is_inside(subject, other, boxes, shares)
    if inside:
        true.add("inside")
    if not inside and not _is_inside(other, subject, boxes, shares):
        true |= _direction(boxes[subject], boxes[other])
    if max(shares[subject, other], shares[other, subject]) >= _HIDING:
        true.add("in front of" if subject > other else "behind")
    elif shares[subject, other] > 0:
        true.add("touching")
    return true


def _is_inside(subject: int, other: int, boxes: Sequence[Box], shares: NDArray[np.float64]) -> bool:
    left, top, right, bottom = boxes[subject]
    x0, y0, x1, y1 = boxes[other]
    within = x0 <= left and y0 <= top and right <= x1 and bottom <= y1
    return within and boxes[subject] != boxes[other] and shares[subject, other] >= _ENCLOSED


def _direction(box: Box, other: Box) -> set[Predicate]:
    """Return the direction from one box to another, or nothing."""
    across, along = (
        # Twice the distance of the middles over the sum of the sides.
        ((other[i] + other[i + 2]) - (box[i] + box[i + 2]))
        / ((other[i + 2] - other[i]) + (box[i + 2] - box[i]))
        for i in (0, 1)
    )
    if max(abs(across), abs(along)) < _APART:
        return set()
    if abs(across) >= abs(along):
        return {"left of" if across > 0 else "right of"}
    return {"above" if along > 0 else "below"}
