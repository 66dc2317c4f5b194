from __future__ import annotations

import json
from dataclasses import replace

import pytest

from eval.nano.captions import main, report_of, says, score_caption
from lisa.data.captions import CaptionRelation
from lisa.data.scenes import PREDICATES, ObjectRelation
from lisa.pipeline import LisaPipeline
from lisa.relations import RelationPredictor
from lisa.tagging import Tagger
from lisa.tagging.tags import Tag
from tests.tiny_nano import nano_model, nano_processor
from tests.unit.relations.tiny_relations import CONFIG, tiny_predictor

TAGS = (Tag("birch", 0.9, 0.5, "object"),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A red apple is to the left of a mug.", True),
        ("There is an apple left of a blue mug.", True),
        ("An apple on the left of the mug, and a cow.", True),
        ("A mug is to the left of an apple.", False),
        ("An apple is to the right of a mug.", False),
        ("An apple and a cow left of a plain old heavy brown mug.", False),
        ("A pineapple left of a mug.", False),
    ],
)
def test_what_a_sentence_says(text: str, said: bool) -> None:
    assert says(text, "apple", "left of", "mug") == said


def test_a_sentence_is_scored() -> None:
    labels = ["apple", "mug", "cow"]
    true = [ObjectRelation(0, "left of", 1), ObjectRelation(1, "right of", 0)]
    asked = [CaptionRelation(0, "left of", 1), CaptionRelation(2, "behind", 1)]
    good = score_caption("An apple is left of a mug.", labels, asked, true)
    assert good.is_sentence
    assert good.things == pytest.approx(2 / 3)
    assert (good.relations, good.false) == (0.5, 0)
    bad = score_caption("an apple above a mug. Yes.", labels, (), true)
    assert not bad.is_sentence
    assert (bad.relations, bad.false) == (None, 1)
    report = report_of([good, bad])
    assert report["one sentence"] == 0.5
    assert report["relations said"] == 0.5
    assert report["with a false relation"] == 0.5


def test_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    pipeline = LisaPipeline(nano_model(64), nano_processor(64))
    monkeypatch.setattr(LisaPipeline, "from_pretrained", lambda *a, **k: pipeline)
    reading = replace(CONFIG, predicates=PREDICATES, geometry_size=6)
    monkeypatch.setattr(
        RelationPredictor, "from_pretrained", lambda *a, **k: tiny_predictor(reading)
    )
    monkeypatch.setattr(Tagger, "from_pretrained", lambda *a, **k: lambda images: [TAGS])
    assert main(["--limit", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["from the truth"]["captions"] == 1
    assert main(["--limit", "1", "--show"]) == 0
    assert "| from the picture | 1 |" in capsys.readouterr().out
