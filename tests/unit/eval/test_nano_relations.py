from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from eval.nano import relations as module
from eval.nano.relations import (
    READINGS,
    KnownScene,
    fixed_scenes,
    main,
    nested_scenes,
    report_of,
    score_scene,
)
from lisa.data.knowledge import load_knowledge
from lisa.data.scenes import PREDICATES, scene_relations
from lisa.pipeline import LisaPipeline
from lisa.relations import RelationPredictor
from lisa.relations.automatic_masks import AutomaticMasks
from tests.tiny import picture
from tests.tiny_nano import nano_model, nano_processor, write_cutouts
from tests.unit.relations.tiny_relations import CONFIG, tiny_predictor
from training.nano.relation_examples import relation_target

SIDE = 64


def scene(seed: int) -> KnownScene:
    """Three squares, two of which overlap."""
    masks = np.zeros((3, SIDE, SIDE), bool)
    masks[0, 2:20, 2:20] = masks[1, 30:50, 30:50] = masks[2, 40:60, 40:60] = True
    masks[1] &= ~masks[2]
    return KnownScene(str(seed), picture(SIDE, SIDE, seed), tuple(masks))


class Knowing(RelationPredictor):
    """Says what is true of the masks that it is given, and nothing else with certainty."""

    def __call__(self, segments, features, **options):
        self.target = relation_target([one.mask for one in segments])
        return super().__call__(segments, features, **options)

    def logits(self, features, geometry=None):
        return [torch.where(self.target > 0, 5.0, -5.0)]


def pipeline() -> LisaPipeline:
    return LisaPipeline(nano_model(SIDE), nano_processor(SIDE))


def find(masks: list[np.ndarray]):
    """Automatic masks that are given."""
    from lisa.masks import mask_to_box
    from lisa.types import Segment

    segments = tuple(Segment(m, mask_to_box(m), 1.0, "found", None, (0, 0)) for m in masks)
    return lambda shown: AutomaticMasks(segments, torch.zeros(len(masks), 16), np.zeros(0), 1, 1)


def recall(report: dict, reading: str) -> float:
    return report[reading]["R@20"]["value"]


def test_who_knows_all_finds_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own masks too, as far as it has them: one object is not found, one found twice."""
    knowing = Knowing(tiny_predictor(replace(CONFIG, predicates=PREDICATES)).model)
    known = scene(0)
    true = scene_relations(known.masks)
    monkeypatch.setattr("lisa.relations.automatic_masks.automatic_masks", find(list(known.masks)))
    report = report_of([score_scene(known, pipeline(), knowing)])
    assert [recall(report, reading) for reading in READINGS] == [1, 1]
    assert (report["objects"], report["objects found"]) == (3, 3)
    rows = report[READINGS[0]]["predicates"]
    assert sum(row["relations"] for row in rows.values()) == len(true)
    assert rows["inside"] == {"relations": 0, "found": None}

    fewer = [known.masks[1], known.masks[0], known.masks[0]]
    monkeypatch.setattr("lisa.relations.automatic_masks.automatic_masks", find(fewer))
    report = report_of([score_scene(known, pipeline(), knowing)])
    assert report["objects found"] == 2
    left = [one for one in true if {one.subject, one.object} == {0, 1}]
    assert recall(report, READINGS[0]) == 1
    assert recall(report, READINGS[1]) == pytest.approx(len(left) / len(true))


def test_masks_of_nothing_stand_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    knowing = Knowing(tiny_predictor(replace(CONFIG, predicates=PREDICATES)).model)
    monkeypatch.setattr("lisa.relations.automatic_masks.automatic_masks", find([]))
    report = report_of([score_scene(scene(0), pipeline(), knowing)])
    assert report["objects found"] == 0
    assert report[READINGS[1]]["R@20 (empty predictions count 0)"]["value"] == 0


def test_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(LisaPipeline, "from_pretrained", lambda *a, **k: pipeline())
    reading = replace(CONFIG, predicates=PREDICATES, geometry_size=6)
    monkeypatch.setattr(
        RelationPredictor, "from_pretrained", lambda *a, **k: tiny_predictor(reading)
    )
    monkeypatch.setattr(module, "fixed_scenes", lambda: (scene(seed) for seed in range(9)))
    assert main(["--limit", "2", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["fixed"]
    assert report["scenes"] == 2
    assert 0 <= recall(report, READINGS[0]) <= 1
    assert main(["--limit", "2"]) == 0
    table = capsys.readouterr().out
    assert "| fixed | true masks | 1.000 |" in table
    assert "| fixed, relations |" in table


def test_the_fixed_scenes_hold_every_relation() -> None:
    """What is never there could not be scored."""
    found = {one.predicate for known in fixed_scenes() for one in scene_relations(known.masks)}
    assert found == set(PREDICATES)


def test_nested_scenes_hold_one_thing_inside_another(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "NESTED_SCENES", 2)
    paths = [path for item in load_knowledge().objects.values() for path in item.stamps]
    write_cutouts(tmp_path, paths)
    for known in nested_scenes(tmp_path):
        assert any(one.predicate == "inside" for one in scene_relations(known.masks))
        assert int(known.key) >= 950_000_000
