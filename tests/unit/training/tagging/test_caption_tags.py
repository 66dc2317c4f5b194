from __future__ import annotations

import sys

import pytest

from lisa.errors import CheckpointError, MissingDependencyError
from training.tagging.caption_tags import CaptionParser, CaptionTag, cleaned, frequent_tags


@pytest.fixture(scope="module")
def parser() -> CaptionParser:
    return CaptionParser.load()


def objects(*names: str) -> set[CaptionTag]:
    return {CaptionTag(name, "object") for name in names}


def attributes(*names: str) -> set[CaptionTag]:
    return {CaptionTag(name, "attribute") for name in names}


def actions(*names: str) -> set[CaptionTag]:
    return {CaptionTag(name, "action") for name in names}


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        (
            "A brown dog is running on the green grass.",
            objects("dog", "grass") | attributes("brown", "green") | actions("run"),
        ),
        (
            "Two men ride bicycles down the street",
            objects("man", "bicycle", "street") | actions("ride"),
        ),
        ("There is a traffic light near the tree", objects("traffic light", "tree")),
        (
            'A cat that is black sits on a "wooden" chair!',
            objects("cat", "chair") | attributes("black", "wooden") | actions("sit"),
        ),
        ("", set()),
    ],
)
def test_heads_modifiers_and_verbs(parser: CaptionParser, caption: str, expected: set[CaptionTag]):
    (found,) = parser([caption])
    assert set(found) == expected


def test_each_tag_once_and_captions_in_order(parser: CaptionParser):
    found = list(parser(["a dog and a dog", "a cat"]))
    assert found == [(CaptionTag("dog", "object"),), (CaptionTag("cat", "object"),)]


def test_cleaning():
    assert cleaned('  A *Dog*: "runs"!  ') == "a dog runs"
    assert len(cleaned("word " * 50).split()) == 30


def test_the_frequency_cut():
    dog, red, run = CaptionTag("dog", "object"), CaptionTag("red", "attribute"), None
    run = CaptionTag("run", "action")
    parsed = [(dog, red), (dog,), (red, run), (dog,)]
    assert frequent_tags(parsed, 10) == [(dog, 3), (red, 2), (run, 1)]
    assert frequent_tags(parsed, 10, least=2) == [(dog, 3), (red, 2)]
    assert frequent_tags(parsed, 1) == [(dog, 3)]
    assert frequent_tags([(run, dog)], 10) == [(dog, 1), (run, 1)]


def test_where_no_parser_is(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(CheckpointError, match="no spaCy pipeline 'en_of_nobody'"):
        CaptionParser.load("en_of_nobody")
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'lisa-assistant\[tagging\]'"):
        CaptionParser.load()
