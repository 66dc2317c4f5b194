from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lisa.errors import ConfigError, DataError
from lisa.masks import mask_to_box
from lisa.relations import RelationConfig, RelationPredictor
from lisa.relations.geometry import GEOMETRY_SIZE, _hull, pair_geometry
from lisa.types import Segment
from tests import shapes
from tests.unit.relations.tiny_relations import CONFIG, squares, tiny_predictor

READING = replace(CONFIG, geometry_size=6)
SIDE = 32


def rectangle(left: int, top: int, right: int, bottom: int, side: int = SIDE) -> np.ndarray:
    return shapes.rectangle(left, top, right, bottom, side)


def segments(masks: list[np.ndarray]) -> list[Segment]:
    return [Segment(mask, mask_to_box(mask), 0.5, "found", None, (0, 0)) for mask in masks]


@st.composite
def rectangles(draw: st.DrawFn) -> list[np.ndarray]:
    """None to four rectangles, some of them empty."""
    found = []
    for _ in range(draw(st.integers(0, 4))):
        left, top = (draw(st.integers(0, SIDE - 2)) for _ in range(2))
        width, height = (draw(st.integers(0, SIDE - start)) for start in (left, top))
        found.append(rectangle(left, top, left + width, top + height))
    return found


def test_two_squares_by_hand() -> None:
    # 8 wide and 8 high; 4 wide and 8 high, four columns further and over the first one's half.
    found = pair_geometry([rectangle(8, 8, 16, 16), rectangle(12, 8, 16, 16)])
    assert found.shape == (2, 2, GEOMETRY_SIZE)
    first, second = found[0, 1].tolist(), found[1, 0].tolist()
    across, along, wide, high = first[:4]
    assert (across, along) == pytest.approx((2 / 6, 0))
    assert (wide, high) == pytest.approx((np.log(0.5), 0))
    assert second[:4] == pytest.approx([-across, 0, -wide, 0])
    assert first[4:6] == second[5:3:-1] == pytest.approx([0.5, 1])
    # Masks that overlap: half of the first lies in the second, and all of the second in the first.
    assert first[8:10] == second[9:7:-1] == pytest.approx([0.5, 1])
    assert first[10:12] == pytest.approx([1, 1])
    assert first[12:] == pytest.approx([0.5, 1])
    assert not found[0, 0].any()


@settings(deadline=None, max_examples=60)
@given(rectangles())
def test_the_other_way_round(masks: list[np.ndarray]) -> None:
    """Distances change their sign, and what is said of one is said of the other."""
    found = pair_geometry(masks)
    back = found.transpose(0, 1)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found[..., :4], -back[..., :4])
    for pair in range(4, GEOMETRY_SIZE, 2):
        torch.testing.assert_close(found[..., pair], back[..., pair + 1])
    for place, mask in enumerate(masks):
        if not mask.any():
            assert not found[place].any()


@pytest.mark.parametrize("times", [2, 16])
def test_the_size_of_the_picture_does_not_matter(times: int) -> None:
    """Up to what surrounds a mask, which is a border of two pixels in a picture of 256."""
    masks = [rectangle(32, 32, 128, 128, 256), rectangle(96, 64, 224, 224, 256)]
    large = [mask.repeat(times, axis=0).repeat(times, axis=1) for mask in masks]
    torch.testing.assert_close(pair_geometry(large), pair_geometry(masks))


def test_what_hides_a_part_lies_in_the_hull() -> None:
    """An L has the hull of a triangle and more; a square in its corner lies in it, not reverse."""
    angle = rectangle(0, 0, 4, 20) | rectangle(0, 16, 20, 20)
    inner = rectangle(5, 10, 9, 14)
    assert pair_geometry([angle, inner])[0, 1, 12:].tolist() == [0, 1]
    assert pair_geometry([inner, angle])[0, 1, 12:].tolist() == [1, 0]
    # Of one pixel, and of a line.
    dot, line = rectangle(3, 3, 4, 4), rectangle(0, 3, 20, 4)
    assert pair_geometry([dot, line])[0, 1, 12:].tolist() == pytest.approx([1, 1 / 20])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12))
def test_the_hull_agrees_with_another_implementation(points: list[tuple[int, int]]) -> None:
    """Pixels whose middle lies inside the hull of the points by clear margin, and none far out."""
    from scipy.spatial import ConvexHull, QhullError

    mask = np.zeros((31, 31), bool)
    for x, y in points:
        mask[y, x] = True
    hull = _hull(mask)
    assert (hull & mask).sum() == mask.sum()
    try:
        equations = ConvexHull(np.argwhere(mask)).equations
    except QhullError:
        return  # all on one line
    places = np.argwhere(np.ones_like(mask))
    outside = (places @ equations[:, :2].T + equations[:, 2]).max(axis=1).reshape(mask.shape)
    assert hull[outside <= 0].all()
    assert not hull[outside > 1].any()


def test_thin_things_do_not_vanish_from_large_pictures() -> None:
    line = np.zeros((4096, 64), bool)
    line[2001] = True
    assert pair_geometry([line, np.ones_like(line)])[0, 1].any()


@settings(deadline=None, max_examples=10)
@given(st.permutations(range(5)))
def test_a_permutation_of_the_masks_permutes_the_relations(order: list[int]) -> None:
    predictor, features = tiny_predictor(READING), torch.randn(5, CONFIG.feature_size)
    things = squares(5)
    straight, permuted = (
        predictor([things[i] for i in places], features[places], top=1000).relations
        for places in (list(range(5)), order)
    )
    by_pair = {(r.subject, r.predicate, r.object): r.score for r in straight}
    back = {(order[r.subject], r.predicate, order[r.object]): r.score for r in permuted}
    assert back == pytest.approx(by_pair, abs=1e-5)


def test_geometry_counts() -> None:
    """The same tokens in other places get other scores."""
    predictor, features = tiny_predictor(READING), torch.randn(2, CONFIG.feature_size)
    places = (rectangle(0, 0, 8, 8), rectangle(20, 0, 28, 8), rectangle(2, 2, 10, 10))
    near, far = (
        [one.score for one in predictor(segments([places[0], other]), features).relations]
        for other in (places[2], places[1])
    )
    assert near != far


def test_a_batch_equals_its_pictures_one_by_one() -> None:
    predictor = tiny_predictor(READING)
    counts = (3, 0, 1, 5)
    features = [torch.randn(count, CONFIG.feature_size) for count in counts]
    geometry = [pair_geometry([one.mask for one in squares(count)]) for count in counts]
    together = predictor.logits(features, geometry)
    for one, pairs, batched in zip(features, geometry, together, strict=True):
        alone = predictor.logits([one], [pairs])[0]
        torch.testing.assert_close(batched, alone, atol=1e-5, rtol=1e-5)


def test_weights_come_back_and_lie_beside_a_model(tmp_path: Path) -> None:
    predictor, features = tiny_predictor(READING), torch.randn(3, CONFIG.feature_size)
    predictor.save_pretrained(tmp_path / "model" / "relations")
    for folder in (tmp_path / "model", tmp_path / "model" / "relations"):
        again = RelationPredictor.from_pretrained(folder, device="cpu")
        assert again.model.config == READING
        assert again(squares(3), features).relations == predictor(squares(3), features).relations


def test_mistakes_are_one_sentence() -> None:
    features = torch.randn(2, CONFIG.feature_size)
    with pytest.raises(DataError, match="needs the geometry of each pair"):
        tiny_predictor(READING).logits([features])
    with pytest.raises(DataError, match="reads no geometry"):
        tiny_predictor().logits([features], [pair_geometry([one.mask for one in squares(2)])])
    with pytest.raises(ConfigError, match="geometry_size is -1"):
        RelationConfig(geometry_size=-1)
