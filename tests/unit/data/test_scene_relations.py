from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lisa.contacts import REACH, surrounding_shares
from lisa.data.scenes import MIRRORS, PREDICATES, compose_scene, scene_relations
from lisa.errors import DataError
from lisa.masks import mask_to_box
from tests import shapes
from tests.tiny_nano import library

SIDE = 40


def rectangle(left: int, top: int, right: int, bottom: int, side: int = SIDE) -> np.ndarray:
    return shapes.rectangle(left, top, right, bottom, side)


def painted(shapes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What stays visible when shapes are painted one after the other."""
    visible: list[np.ndarray] = []
    for shape in shapes:
        visible = [one & ~shape for one in visible] + [shape]
    return visible


def said(*shapes: np.ndarray) -> set[tuple[int, str, int]]:
    return {tuple(one) for one in scene_relations(painted(shapes))}


@st.composite
def scenes(draw: st.DrawFn) -> list[np.ndarray]:
    """One to four rectangles and rings, painted over each other; none is covered whole."""
    shapes = []
    for _ in range(draw(st.integers(1, 4))):
        left, top = (draw(st.integers(0, SIDE - 3)) for _ in range(2))
        width, height = (draw(st.integers(2, SIDE - start)) for start in (left, top))
        shape = rectangle(left, top, left + width, top + height)
        if draw(st.booleans()):
            shape &= ~rectangle(left + 3, top + 3, left + width - 3, top + height - 3)
        shapes.append(shape)
    return [mask for mask in painted(shapes) if mask.any()]


LEFT = {(0, "left of", 1), (1, "right of", 0)}
ABOVE = {(0, "above", 1), (1, "below", 0)}
BEHIND = {(0, "behind", 1), (1, "in front of", 0)}
TOUCHING = {(0, "touching", 1), (1, "touching", 0)}


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        # The first is 10 wide and high, at (10, 10); middles half a mean side apart are enough.
        ((25, 10, 35, 20), LEFT),
        ((10, 25, 20, 35), ABOVE),
        ((24, 25, 34, 35), ABOVE),
        ((25, 25, 35, 35), LEFT),  # of equals, the row
        ((15, 10, 25, 20), LEFT | BEHIND),
        ((13, 5, 17, 25), BEHIND),
        # Corners: two columns between them are too many.
        ((21, 19, 31, 29), LEFT | TOUCHING),
        ((22, 19, 32, 29), LEFT),
    ],
)
def test_two_rectangles(second: tuple[int, ...], expected: set[tuple[int, str, int]]) -> None:
    assert said(rectangle(10, 10, 20, 20), rectangle(*second)) == expected


def test_one_thing_inside_another() -> None:
    frame = rectangle(5, 5, 35, 35)
    inner = rectangle(10, 10, 16, 16)
    in_front = {(1, "in front of", 0), (0, "behind", 1), (1, "inside", 0)}
    assert said(frame, inner) == in_front
    # Seen through a hole: painted before, and inside all the same.
    seen = {(0, "behind", 1), (1, "in front of", 0), (0, "inside", 1)}
    assert said(inner, frame & ~inner) == seen
    # Across the edge it is not inside, and a direction holds.
    sticking = said(frame, rectangle(0, 17, 8, 23))
    assert not any(predicate == "inside" for _, predicate, _ in sticking)
    assert (1, "left of", 0) in sticking


@settings(max_examples=150, deadline=None)
@given(scenes())
def test_what_must_hold_of_any_scene(masks: list[np.ndarray]) -> None:
    found = scene_relations(masks)
    held = {tuple(one) for one in found}
    assert len(held) == len(found)
    assert [(s, o, PREDICATES.index(p)) for s, p, o in found] == sorted(
        (s, o, PREDICATES.index(p)) for s, p, o in found
    )
    for subject, predicate, other in found:
        assert subject != other
        if predicate in MIRRORS:
            assert (other, MIRRORS[predicate], subject) in held
        else:
            assert (other, predicate, subject) not in held
    for subject in range(len(masks)):
        for other in range(len(masks)):
            pair = {p for s, p, o in found if (s, o) == (subject, other)}
            assert len(pair & {"left of", "right of", "above", "below"}) <= 1
            assert len(pair & {"in front of", "behind", "touching"}) <= 1
            if "in front of" in pair:
                assert subject > other
            if "inside" in pair:
                assert not pair & {"left of", "right of", "above", "below", "touching"}


TURNED = {"left of": "above", "right of": "below", "above": "left of", "below": "right of"}
FLIPPED = {"left of": "right of", "right of": "left of"}


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_a_mirrored_picture_has_mirrored_relations(masks: list[np.ndarray]) -> None:
    flipped = scene_relations([mask[:, ::-1] for mask in masks])
    assert {(s, FLIPPED.get(p, p), o) for s, p, o in scene_relations(masks)} == set(flipped)


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_a_turned_picture_has_turned_relations(masks: list[np.ndarray]) -> None:
    boxes = [mask_to_box(mask) for mask in masks]
    turned = set(scene_relations([mask.T for mask in masks]))
    for one in scene_relations(masks):
        (l0, t0, r0, b0), (l1, t1, r1, b1) = boxes[one.subject], boxes[one.object]
        across = (l1 + r1 - l0 - r0) / (r1 - l1 + r0 - l0)
        along = (t1 + b1 - t0 - b0) / (b1 - t1 + b0 - t0)
        if abs(across) != abs(along):  # a tie goes to the row, whichever way the picture lies
            assert (one.subject, TURNED.get(one.predicate, one.predicate), one.object) in turned


def test_nothing_and_a_single_thing_have_no_relations() -> None:
    assert scene_relations([]) == ()
    assert scene_relations([rectangle(0, 0, 5, 5)]) == ()


def test_a_hidden_object_is_one_sentence() -> None:
    with pytest.raises(DataError, match="object 1 has no visible pixel"):
        scene_relations([rectangle(0, 0, 5, 5), np.zeros((SIDE, SIDE), bool)])


def test_shares_of_surroundings() -> None:
    masks = [rectangle(0, 0, SIDE, 10), rectangle(0, 10, SIDE, 20), rectangle(0, 30, 10, SIDE)]
    shares = surrounding_shares(masks)
    assert shares.tolist() == [[0, 1, 0], [0.5, 0, 0], [0, 0, 0]]
    assert surrounding_shares([np.ones((4, 4), bool), np.zeros((4, 4), bool)]).tolist() == [
        [0, 0],
        [0, 0],
    ]
    assert surrounding_shares([]).shape == (0, 0)


@settings(max_examples=60, deadline=None)
@given(scenes(), st.integers(1, 4))
def test_shares_agree_with_distances(masks: list[np.ndarray], reach: int) -> None:
    shares = surrounding_shares(masks, reach)
    pixels = [np.argwhere(mask) for mask in masks]
    assert np.array_equal(shares > 0, (shares > 0).T)
    for row, mine in enumerate(pixels):
        for column, others in enumerate(pixels):
            gap = np.abs(mine[:, None] - others[None]).max(axis=-1)
            assert (shares[row, column] > 0) == (row != column and gap.min() <= reach)
    assert REACH == 2


def test_nested_scenes_hold_one_thing_inside_another(tmp_path) -> None:
    """And what is not nested is composed as ever."""
    names = ("bus", "cup", "drum", "egg")
    cutouts = library(tmp_path, {name: (f"{name}.png",) for name in names})
    inside = 0
    for seed in range(20):
        scene = compose_scene(cutouts, seed, names=["bus", "cup"], nested=True)
        found = scene_relations([item.mask for item in scene.objects])
        if len(scene.objects) == 2:
            assert (1, "inside", 0) in found
            inside += 1
    assert inside >= 5
