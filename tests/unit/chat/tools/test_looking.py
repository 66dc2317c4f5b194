"""Tools that say what a picture shows: tag, caption, masks, panoptic, describe_region, relate."""

from __future__ import annotations

import json

import pytest

from chat.cancellation import TurnCancelled
from chat.tools.caption import CaptionTool
from chat.tools.describe_region import DescribeRegionTool
from chat.tools.masks import MasksTool
from chat.tools.panoptic import PanopticTool
from chat.tools.registry import ALL_TOOLS, tools_for
from chat.tools.relate import RelateTool
from chat.tools.tag import TagTool
from lisa.errors import DataError
from lisa.relations import SceneGraph
from tests.unit.chat.tools.bench import (
    THINGS,
    Answering,
    ScriptedRelations,
    ScriptedTagger,
    Table,
    box_segment,
    workbench,
)
from tests.unit.relations.tiny_relations import tiny_predictor


def test_signatures_are_those_that_weights_are_trained_on() -> None:
    assert [tool.describe.signature for tool in ALL_TOOLS] == [
        "tag()",
        "caption()",
        "masks()",
        "panoptic()",
        "relate(subject?, relation?, object?)",
        "describe_region(segment)",
        "measure(what, segments?, of?)",
        "crop(segment)",
        "edit(segment, change)",
        "segment(text?, box?, points?)",
    ]


def test_only_tools_that_models_serve_are_offered() -> None:
    bare = workbench(tagger=None, relations=None)
    assert {tool.name for tool in ALL_TOOLS} - {tool.name for tool in tools_for(bare)} == {
        "tag",
        "relate",
        "panoptic",
    }
    unfit = ScriptedRelations(lambda one, other: {}, ["on"])
    unfit.model.config.feature_size = 256
    names = {tool.name for tool in tools_for(workbench(relations=unfit))}
    assert "relate" not in names
    assert "tag" in names


def test_tags_are_things_and_colours_the_surest_first() -> None:
    result = Table().call(TagTool())
    assert result.text == "things: race car, pear, apple; also: red"
    assert [tag["name"] for tag in result.data["tags"]][0] == "race car"
    json.dumps(dict(result.data))


def test_tags_without_categories_are_things() -> None:
    tagger = ScriptedTagger([("grass", None), ("sky", None)])
    assert Table(workbench(tagger=tagger)).call(TagTool()).text == "things: sky, grass"


def test_the_colour_orange_is_said_without_its_mark() -> None:
    tagger = ScriptedTagger([("orange (colour)", "attribute"), ("orange", "object")])
    assert Table(workbench(tagger=tagger)).call(TagTool()).text == "things: orange; also: orange"


def test_most_eight_things_and_four_colours_are_said() -> None:
    seen = [(f"thing{n}", "object") for n in range(12)]
    seen += [(f"hue{n}", "attribute") for n in range(6)]
    text = Table(workbench(tagger=ScriptedTagger(seen))).call(TagTool()).text
    assert text.count("thing") == 9
    assert text.count("hue") == 4


def test_a_picture_without_tags_shows_nothing() -> None:
    assert Table(workbench(tagger=ScriptedTagger([]))).call(TagTool()).text == "things: nothing"


def test_pictures_are_tagged_searched_and_encoded_once() -> None:
    table = Table()
    for tool in (TagTool(), RelateTool(), TagTool(), RelateTool(), MasksTool()):
        table.call(tool)
    pipeline = table.bench.pipeline
    assert isinstance(pipeline, Answering)
    assert table.bench.encodings == 1
    assert table.bench.tagger.asked == 1  # type: ignore[attr-defined]
    assert pipeline.asked.count("Segment the apple.") == 1


def test_caption_is_the_models_sentence() -> None:
    script = {
        **{f"Segment the {one}.": ("[SEG]", [box_segment(THINGS[one][0])]) for one in THINGS},
        "Things:": ("A apple is left of a pear [SEG].", []),
    }
    table = Table(workbench(pipeline=Answering(script), relations=tiny_predictor()))
    result = table.call(CaptionTool())
    assert result.text == "An apple is left of a pear."
    assert result.data["relations"]
    assert table.bench.encodings == 1


def test_caption_without_relation_weights_asks_the_model_alone() -> None:
    script = {"Describe the picture": ("There is a apple.", [])}
    bench = workbench(pipeline=Answering(script), relations=None)
    assert Table(bench).call(CaptionTool()).text == "There is an apple."


def test_caption_of_nothing_says_so() -> None:
    bench = workbench(tagger=ScriptedTagger([]), relations=tiny_predictor())
    assert Table(bench).call(CaptionTool()).text == "nothing"


def test_masks_that_are_known_keep_their_names() -> None:
    table = Table()
    first = table.call(MasksTool())
    again = table.call(MasksTool())
    assert first.text == again.text
    assert again.segments == ()
    assert first.data["labels"] == [one.label for one in first.segments]


def test_masks_stop_when_the_turn_is_cancelled() -> None:
    table = Table()
    table.cancellation.cancel()
    with pytest.raises(TurnCancelled):
        table.call(MasksTool())


def test_panoptic_segments_are_named_by_their_classes() -> None:
    def divide(image: object) -> SceneGraph:
        segments = tuple(box_segment(box) for box, _ in THINGS.values())
        return SceneGraph(segments, (), ("apple", "pear", None))

    result = Table(workbench(panoptic=divide)).call(PanopticTool())
    assert result.text == "3 masks: #1 apple, #2 pear, #3"
    assert [one.name for one in result.segments] == ["#1", "#2", "#3"]


def test_a_region_has_name_colour_place_and_size() -> None:
    table = Table()
    table.segment((44, 6, 56, 18))
    result = table.call(DescribeRegionTool(), segment="#1")
    assert result.text == "#1 pear: green, in the upper right, 3.5 % of the picture"
    assert result.data["what"] == "pear"


def test_a_region_on_another_picture_is_described_there() -> None:
    table = Table()
    old = table.segment((4, 4, 16, 16), "apple")
    table.picture = table.draft.add_picture(table.picture.image.rotate(180), "turned.png")
    text = table.call(DescribeRegionTool(), segment=old.name).text
    assert text == "#1 apple: red, in the upper left, 3.5 % of the picture"


def test_directions_are_those_of_the_masks_whatever_the_weights_say() -> None:
    table = Table()
    result = table.call(RelateTool(), relation="to the left of", object="pear")
    assert result.text == "#2 apple left of #1 pear"
    assert [one.name for one in result.segments] == ["#1", "#2"]
    assert table.call(RelateTool(), relation="right of", object="#2").text == (
        "#1 pear right of #2 apple"
    )
    assert table.call(RelateTool(), relation="below", object="#2").text == (
        "#3 race car below #2 apple"
    )


def test_a_relation_is_as_sure_as_seen_from_the_other_side() -> None:
    table = Table()
    assert "#2 pear touching #1 apple" in table.call(
        RelateTool(), subject="apple", object="pear"
    ).text.replace("#1 apple touching #2 pear", "#2 pear touching #1 apple")
    behind = table.call(RelateTool(), relation="behind")
    assert behind.text == "#1 apple behind #2 pear"
    assert behind.data["relations"] == [
        {"subject": "#1", "predicate": "behind", "object": "#2", "score": 0.7}
    ]


def test_without_arguments_few_relations_speak_of_all_things() -> None:
    text = Table().call(RelateTool()).text
    assert all(name in text for name in THINGS)
    assert text.count(";") <= 3


def test_relations_of_a_subject_are_one_for_each_other_thing() -> None:
    table = Table()
    relations = table.call(RelateTool(), subject="apple").data["relations"]
    assert {one["subject"] for one in relations} == {"#1"}
    assert len({one["object"] for one in relations}) == len(relations) == 2


def test_things_that_do_not_relate_so_give_nothing() -> None:
    assert Table().call(RelateTool(), relation="above", object="apple").text == "nothing"


def test_an_unknown_relation_is_told_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"no relation 'eats': choose among left of, .* touching\."):
        Table().call(RelateTool(), relation="eats")


def test_a_picture_with_one_thing_has_no_relations() -> None:
    bench = workbench(tagger=ScriptedTagger([("apple", "object")]))
    assert Table(bench).call(RelateTool()).text == "nothing"


def test_what_the_tagger_rules_out_is_not_found() -> None:
    table = Table()
    with pytest.raises(DataError, match="there is no zebra in picture 1"):
        table.call(RelateTool(), subject="the zebra")
