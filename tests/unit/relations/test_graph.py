from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lisa.errors import ConfigError, DataError
from lisa.masks import encode_rle
from lisa.relations import Relation, SceneGraph
from lisa.relations.drawing import draw_scene_graph
from lisa.relations.duplicates import largest_first, mask_ious, without
from lisa.relations.plot import plot_graph, to_dot
from lisa.types import Segment
from tests.unit.relations.tiny_relations import squares

RELATIONS = (
    Relation(0, "on", 2, 0.75),
    Relation(2, "under", 0, 0.5),
    Relation(0, "beside", 1, 0.1),
)
NAMES = ("cup", None, 'the "old" table')


def graph(side: int = 60) -> SceneGraph:
    segments = []
    for number in range(3):
        mask = np.zeros((side, 2 * side), bool)
        mask[20 * number : 20 * number + 15, 40 * number : 40 * number + 30] = True
        segments.append(replace(squares(1)[0], mask=mask, box=(40.0 * number, 20.0 * number, 9, 9)))
    return SceneGraph(tuple(segments), RELATIONS, NAMES)


def test_words():
    assert graph().sentence(RELATIONS[0]) == '0 cup on 2 the "old" table'
    assert graph().sentence(RELATIONS[2]) == "0 cup beside 1"
    assert SceneGraph(graph().segments, RELATIONS).sentence(RELATIONS[0]) == "0 on 2"


@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 4).flatmap(
        lambda count: st.tuples(
            st.just(count),
            st.lists(
                st.tuples(
                    st.integers(0, count - 1), st.text(max_size=4), st.integers(0, count - 1)
                ),
                max_size=4,
            )
            if count
            else st.just([]),
            st.none() | st.lists(st.none() | st.text(), min_size=count, max_size=count),
        )
    )
)
def test_json_and_back(drawn):
    count, triplets, names = drawn
    relations = tuple(Relation(s, p, o, 0.25) for s, p, o in triplets)
    one = SceneGraph(tuple(squares(count)), relations, None if names is None else tuple(names))
    back = SceneGraph.from_dict(json.loads(json.dumps(one.to_dict())))
    assert back.relations == relations
    # Names that are all missing are no names.
    assert (back.names or (None,) * count) == (one.names or (None,) * count)
    for ours, theirs in zip(one.segments, back.segments, strict=True):
        assert np.array_equal(ours.mask, theirs.mask)
        assert (ours.box, ours.score, ours.status) == (theirs.box, theirs.score, theirs.status)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "no scene graph"),
        ({"segments": [], "relations": [3]}, "no scene graph"),
        ({"segments": [{"mask": {"size": [1, 1]}, "score": 1, "name": None}]}, "counts"),
        (
            {
                "segments": [],
                "relations": [{"subject": 0, "predicate": "on", "object": 1, "score": 1}],
            },
            "not among 0",
        ),
    ],
)
def test_records_of_another_form(data: dict, words: str):
    with pytest.raises(DataError, match=words):
        SceneGraph.from_dict(data)


def test_parts_that_do_not_fit():
    with pytest.raises(DataError, match="1 segments and 2 names"):
        SceneGraph(tuple(squares(1)), (), ("a", "b"))


def test_drawn_over_the_picture():
    image = Image.new("RGB", (120, 60), "white")
    drawn = draw_scene_graph(image, graph())
    assert drawn.size == image.size
    pixels, plain = np.asarray(drawn), np.asarray(image)
    for segment in graph().segments:
        assert (pixels[segment.mask] != plain[segment.mask]).any()
    fewer = draw_scene_graph(image, graph(), most=1)
    # The segment that takes part in no relation that is shown is not drawn.
    corner = np.asarray(fewer)[20:35, 62:70]
    assert (corner == 255).all(axis=2).any()
    assert np.array_equal(np.asarray(image), plain)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_graphs_without_relations_are_drawn(count: int):
    image = Image.new("RGB", (12, 12))
    one = SceneGraph(tuple(squares(count)), ())
    assert draw_scene_graph(image, one).size == (12, 12)
    assert plot_graph(one, side=120).size == (120, 120)


def test_plot_shows_every_node_and_relation():
    plots = [plot_graph(graph(), side=300, most=most) for most in (0, 1, 2, 3)]
    assert all(plot.size == (300, 300) for plot in plots)
    images = {plot.tobytes() for plot in plots}
    assert len(images) == len(plots)


def test_a_plot_that_is_too_small():
    with pytest.raises(ConfigError, match="99 pixels is too small"):
        plot_graph(graph(), side=99)


def test_graphviz():
    text = to_dot(graph())
    assert text.startswith("digraph scene {\n")
    assert '0 [label="0 cup"];' in text
    assert '2 [label="2 the \\"old\\" table"];' in text
    assert '0 -> 2 [label="on 0.75"];' in text


def boxes(*edges: tuple[int, int]) -> list[Segment]:
    found = []
    for start, stop in edges:
        mask = np.zeros((4, 20), bool)
        mask[:, start:stop] = True
        found.append(replace(squares(1)[0], mask=mask))
    return found


def test_overlaps():
    masks = [encode_rle(one.mask) for one in boxes((0, 10), (5, 10), (10, 20))]
    assert mask_ious(masks, masks[:2]) == pytest.approx(np.array([[1, 0.5], [0.5, 1], [0, 0]]))
    assert mask_ious([], masks).shape == (0, 3)


@pytest.mark.parametrize(
    ("most_iou", "most_inside", "kept"),
    [(0.8, 1.0, [3, 0, 2, 1]), (0.6, 1.0, [3, 2, 1]), (0.8, 0.9, [3, 2])],
)
def test_what_is_kept(most_iou: float, most_inside: float, kept: list[int]):
    segments = boxes((0, 8), (0, 4), (12, 20), (0, 11))
    masks = [encode_rle(one.mask) for one in segments]
    areas = [int(one.mask.sum()) for one in segments]
    assert largest_first(masks, areas, most_iou, most_inside) == kept


def test_others_than_one():
    first, *others = boxes((0, 10), (0, 9), (0, 5), (12, 20))
    assert without(others, first, 0.8) == [1, 2]
    assert without([], first, 0.8) == []
