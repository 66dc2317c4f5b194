from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from lisa.captions import NamedThing, caption_picture, find_things, name_segments
from lisa.captions.things import LIST_EVERYTHING, MOST_THINGS
from lisa.data.scenes import PREDICATES
from tests.unit.captions.scripted import COW, CUP, Scripted, picture, segment
from tests.unit.relations.tiny_relations import CONFIG, tiny_predictor


def names(things: Sequence[NamedThing]) -> list[str]:
    return [thing.name for thing in things]


def test_everything_is_asked_for_at_once() -> None:
    pipeline = Scripted({LIST_EVERYTHING: ("I see a cow [SEG] and a cup [SEG].", [COW, CUP])})
    things = find_things(pipeline, pipeline.encode(picture()))
    assert pipeline.asked == [LIST_EVERYTHING]
    assert names(things) == ["cow", "cup"]
    assert [thing.segment for thing in things] == [COW, CUP]


def test_what_is_not_shown_is_no_thing() -> None:
    absent = segment(0, 0, "ghost", status="absent")
    unnamed = segment(30, 35)
    pipeline = Scripted({LIST_EVERYTHING: ("...", [absent, unnamed, CUP])})
    assert names(find_things(pipeline, pipeline.encode(picture()))) == ["cup"]


def test_given_names_are_asked_for_one_by_one() -> None:
    script = {"Segment the cow.": ("[SEG]", [COW]), "Segment the cup.": ("[SEG][SEG]", [CUP, COW])}
    pipeline = Scripted(script)
    things = find_things(pipeline, pipeline.encode(picture()), ["cup", "dog", "cow", "cup"])
    assert pipeline.asked == ["Segment the cup.", "Segment the dog.", "Segment the cow."]
    assert names(things) == ["cup", "cow"]
    assert find_things(pipeline, pipeline.encode(picture()), []) == []
    many = [f"thing {number}" for number in range(20)]
    find_things(pipeline, pipeline.encode(picture()), many)
    assert len(pipeline.asked) == 3 + MOST_THINGS


def test_two_names_for_one_mask_leave_the_surer_one() -> None:
    ox = segment(0, 22, "ox", score=0.9)
    pipeline = Scripted({LIST_EVERYTHING: ("...", [COW, CUP, ox])})
    assert names(find_things(pipeline, pipeline.encode(picture()))) == ["cup", "ox"]
    again = segment(30, 38, "cup", score=0.9)
    pipeline = Scripted({LIST_EVERYTHING: ("...", [COW, CUP, again])})
    things = find_things(pipeline, pipeline.encode(picture()))
    assert [thing.segment for thing in things] == [COW, again]


def test_segments_of_others_get_names_by_their_masks() -> None:
    things = [NamedThing("cow", COW), NamedThing("cup", CUP), NamedThing("dog", segment(0, 19))]
    others = [segment(38, 60), segment(22, 36), segment(1, 20)]
    assert name_segments(others, things) == ("cup", None, "cow")
    assert name_segments([], things) == ()
    assert name_segments(others, []) == (None, None, None)


READING = replace(CONFIG, predicates=PREDICATES, geometry_size=6)


@pytest.mark.parametrize("tags", [None, ["cow", "cup"]])
def test_a_caption_is_asked_for_with_things_colours_and_relations(tags) -> None:
    pipeline = Scripted(
        {
            LIST_EVERYTHING: ("I see a cow [SEG] and a cup [SEG].", [COW, CUP]),
            "Segment the cow.": ("[SEG]", [COW]),
            "Segment the cup.": ("[SEG]", [CUP]),
            "Things:": ("A red cow [SEG] left  of a cup.", [COW]),
        }
    )
    found = caption_picture(pipeline, tiny_predictor(READING), picture(), tags)
    assert found.text == "A red cow left of a cup."
    assert found.request == pipeline.asked[-1]
    # What is said first has its colour.
    assert re.match("Things: (red cow, cup|cow, blue cup)[.] Relations: (red|blue) ", found.request)
    best = max(found.graph.relations, key=lambda one: one.score)
    assert best.score > 0.5  # random weights are sure of something
    assert " Relations: " in found.request
    assert found.graph.names == ("cow", "cup")
    assert pipeline.asked[0] == (LIST_EVERYTHING if tags is None else "Segment the cow.")


def test_nothing_found_is_nothing_said() -> None:
    pipeline = Scripted({})
    found = caption_picture(pipeline, tiny_predictor(READING), picture())
    assert (found.text, found.request, found.graph.relations) == ("", "", ())
    assert pipeline.asked == [LIST_EVERYTHING]


def test_tags_are_described_even_where_they_cannot_be_shown() -> None:
    pipeline = Scripted({"Things: cow, cup.": ("A cow and a cup.", ())})
    found = caption_picture(pipeline, tiny_predictor(READING), picture(), ["cow", "cup"])
    assert found.text == "A cow and a cup."
