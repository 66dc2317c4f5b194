"""Scene graphs by hand; the released numbers are in tests/parity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eval.metrics import (
    Relation,
    SceneGraph,
    SceneGraphRecord,
    judge_scene_graph,
    one_predicate_per_pair,
    scene_graph_figures,
    scene_graph_measurement,
)
from lisa.errors import DataError


def _stripes(*rows: slice) -> np.ndarray:
    masks = np.zeros((len(rows), 8, 4), bool)
    for mask, row in zip(masks, rows, strict=True):
        mask[row] = True
    return masks


TRUTH = SceneGraph(
    _stripes(slice(0, 4), slice(4, 8)), [3, 5], [Relation(0, 1, 2), Relation(1, 0, 0)]
)


def test_the_first_prediction_that_finds_a_relation_counts():
    predicted = SceneGraph(
        _stripes(slice(0, 2), slice(0, 1), slice(4, 8), slice(4, 8)),
        [3, 3, 5, 6],
        [
            Relation(1, 2, 2),  # IoU of the subject is a quarter, of the phrase 5 / 8
            Relation(0, 3, 2),  # wrong class
            Relation(0, 2, 1),  # wrong predicate
            Relation(2, 0, 2),  # wrong way round
            Relation(0, 2, 2),  # IoU exactly a half
            Relation(0, 2, 2),
        ],
    )
    record = judge_scene_graph("a", TRUTH, predicted)
    assert record == SceneGraphRecord("a", (2, 0), (4, None), (0, None), False)


def test_one_prediction_may_find_several_relations():
    twice = SceneGraph(
        np.concatenate([TRUTH.masks, _stripes(slice(0, 4))]),
        [3, 5, 3],
        [Relation(0, 1, 2), Relation(2, 1, 2)],
    )
    found = SceneGraph(TRUTH.masks, [3, 5], [Relation(0, 1, 2)])
    assert judge_scene_graph("a", twice, found).ranks == (0, 0)


def test_empty_masks_do_not_agree():
    empty = np.zeros_like(TRUTH.masks)
    graph = SceneGraph(empty, [3, 5], TRUTH.relations)
    assert judge_scene_graph("a", graph, graph).ranks == (None, None)


def test_no_prediction_is_skipped():
    for predicted in (None, SceneGraph(TRUTH.masks, [3, 5], [])):
        record = judge_scene_graph("a", TRUTH, predicted)
        assert record.skipped
        assert record.ranks == record.phrase_ranks == (None, None)


def test_graph_constraint():
    surest, other = Relation(0, 1, 4), Relation(0, 1, 7)
    back = Relation(1, 0, 7)
    assert one_predicate_per_pair([surest, back, other]) == [surest, back]


def test_both_readings_of_pictures_and_of_predicates():
    found = SceneGraphRecord("a", (0, 0, 1), (3, None, 25), (3, None, 25), False)
    skipped = SceneGraphRecord("b", (2,), (None,), (None,), True)
    without = SceneGraphRecord("c", (), (), (), False)
    figures = {one.name: one for one in scene_graph_figures([found, skipped, without], 4)}
    assert (figures["R@20"].value, figures["R@20"].n) == (pytest.approx(1 / 3), 1)
    assert figures["R@20"].note == "1 pictures without predicted relations left out"
    assert figures["R@50"].value == pytest.approx(2 / 3)
    assert figures["R@50 (empty predictions count 0)"].value == pytest.approx(1 / 3)
    assert figures["R@50 (empty predictions count 0)"].n == 2
    assert figures["mR@50"].value == pytest.approx((0.5 + 1) / 4)
    assert figures["mR@50 (predicates that occur)"].value == pytest.approx((0.5 + 1) / 2)
    both = "mR@50 (predicates that occur, empty predictions count 0)"
    assert figures[both].value == pytest.approx((0.5 + 1) / 3)
    assert figures["phrase R@20"].value == pytest.approx(1 / 3)


def test_a_predicate_that_a_draw_misses_does_not_pull_the_interval_down():
    common = [SceneGraphRecord(f"{n:02d}", (0,), (0,), (0,), False) for n in range(30)]
    rare = SceneGraphRecord("rare", (1,), (0,), (0,), False)
    figures = {one.name: one for one in scene_graph_figures([*common, rare], 4)}
    assert (figures["mR@20"].value, figures["mR@20"].low) == (0.5, 0.5)


def test_malformed_graphs_are_refused():
    with pytest.raises(DataError, match="a: 1 labels need as many masks"):
        judge_scene_graph("a", replace(TRUTH, labels=[3]), None)
    with pytest.raises(DataError, match="names a segment that is not among 2"):
        judge_scene_graph("a", TRUTH, replace(TRUTH, relations=[Relation(0, 2, 1)]))
    small = replace(TRUTH, masks=TRUTH.masks[:, :4])
    with pytest.raises(DataError, match=r"\(4, 4\) pixels, true ones of \(8, 4\)"):
        judge_scene_graph("a", TRUTH, small)
    with pytest.raises(DataError, match="a has a predicate beyond the 2 that there are"):
        scene_graph_measurement([SceneGraphRecord("a", (2,), (0,), (0,), False)], 2)
