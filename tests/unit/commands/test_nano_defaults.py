"""`lisa caption` and `lisa relate` without --model: what belongs to lisa-nano works together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lisa.cli import main
from lisa.data.scenes import PREDICATES
from lisa.pipeline import LisaPipeline
from lisa.relations import RelationPredictor
from lisa.relations.automatic_masks import AutomaticMasks
from lisa.tagging import Tagger
from lisa.tagging.tags import Tag
from tests.unit.captions.scripted import COW, CUP, Scripted, picture, segment
from tests.unit.relations.tiny_relations import CONFIG, tiny_predictor

SCRIPT = {
    "Segment the cow.": ("[SEG]", [COW]),
    "Segment the cup.": ("[SEG]", [CUP]),
    "Things: blue cup, cow.": ("A cow left of a cup.", ()),
    "Things: cup, red cow.": ("A cow left of a cup.", ()),
    "Things: red cow, cup.": ("A cow beside a cup.", ()),
    "Things: cow, blue cup.": ("A cow beside a cup.", ()),
}
TAGS = (
    Tag("cow", 0.7, 0.5, "object"),
    Tag("cup", 0.9, 0.5, "object"),
    Tag("red", 0.95, 0.5, "attribute"),
)


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """All three parts of lisa-nano, tiny or scripted."""
    pipeline = Scripted(SCRIPT)
    predictor = tiny_predictor(replace(CONFIG, predicates=PREDICATES, geometry_size=6))

    class Tags:
        def __call__(self, images):
            return [TAGS for _ in images]

    for kind, made in ((LisaPipeline, pipeline), (RelationPredictor, predictor), (Tagger, Tags())):

        def load(name: str, *_, made=made, **__):
            assert name == "lisa-nano"
            return made

        monkeypatch.setattr(kind, "from_pretrained", load)
    return pipeline


@pytest.fixture
def path(tmp_path: Path) -> str:
    picture().save(tmp_path / "a.png")
    return str(tmp_path / "a.png")


def test_a_caption_from_tags(pipeline: Scripted, path: str, capsys) -> None:
    assert main(["caption", path]) == 0
    assert capsys.readouterr().out == f"{path}: A cow left of a cup.\n"
    # The surest tag is asked for first, and colours are not looked for.
    assert pipeline.asked[:2] == ["Segment the cup.", "Segment the cow."]
    assert main(["caption", path, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["text"] == "A cow left of a cup."
    assert record["tags"] == ["cup", "cow"]
    assert len(record["relations"]) == 2 * len(PREDICATES)
    assert any(one.startswith("0 cup ") and one.endswith(" 1 cow") for one in record["relations"])


def test_a_caption_from_tags_that_are_given(pipeline: Scripted, path: str, capsys) -> None:
    assert main(["caption", path, "--tags", "cow, cup"]) == 0
    assert capsys.readouterr().out == f"{path}: A cow beside a cup.\n"
    assert main(["caption", path, "--tags", "ghost"]) == 0
    assert "There is nothing." in capsys.readouterr().out


def test_automatic_masks_are_named(
    pipeline: Scripted, path: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    segments = (segment(0, 21), segment(30, 36))
    found = AutomaticMasks(segments, torch.zeros(2, 16), np.zeros((2, 2)), 1, 1)
    monkeypatch.setattr("lisa.commands.relating.find_masks", lambda *_: found)
    assert main(["relate", path]) == 0
    head, *relations = capsys.readouterr().out.splitlines()
    assert head == f"{path}: 2 things"
    assert len(relations) == 2
    assert all("0 cow" in line for line in relations)


@pytest.mark.parametrize(
    ("more", "option"),
    [
        (["--sample"], "--sample"),
        (["--seed", "3"], "--seed"),
        (["--tag-list", "a.txt"], "--tag-list"),
        (["--tags", "cow", "--threshold", "0.5"], "--threshold"),
    ],
)
def test_options_of_tag2text_are_not_taken_in_silence(
    path: str, more: list[str], option: str, capsys
) -> None:
    assert main(["caption", path, *more]) == 2
    assert f"{option} changes nothing about a sentence of lisa-nano" in capsys.readouterr().err
