from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lisa.data.scenes import PREDICATES, CutoutLibrary, compose_scene, scene_relations
from lisa.errors import DataError
from lisa.relations import RelationModel
from lisa.relations.geometry import GEOMETRY_SIZE, pair_geometry
from tests.tiny_nano import library, nano_model, nano_processor
from training.nano.corpus import Corpus, build_corpus
from training.nano.relation_examples import (
    READINGS,
    RelationExample,
    relation_examples,
    relation_target,
)
from training.nano.relation_stage import _loss, relation_config

SEEDS, NESTED = range(100, 104), range(300, 303)
NAMES = ("ant", "bus", "cup", "drum", "egg", "fan")


@pytest.fixture(scope="module")
def cutouts(tmp_path_factory: pytest.TempPathFactory) -> CutoutLibrary:
    folder = tmp_path_factory.mktemp("cutouts")
    return library(folder, {name: (f"{name}.png",) for name in NAMES})


@pytest.fixture(scope="module")
def corpus(cutouts: CutoutLibrary, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    return build_corpus(folder, nano_model(), nano_processor(), cutouts, SEEDS)


def examples(path: Path, corpus: Corpus, cutouts: CutoutLibrary, seed: int = 0):
    model = nano_model(seed=seed)
    return relation_examples(path, model, nano_processor(), corpus, 3, cutouts, NESTED)


def test_examples_are_made_once_and_come_back(tmp_path, corpus, cutouts, monkeypatch) -> None:
    path = tmp_path / "relations" / "examples.safetensors"
    made = examples(path, corpus, cutouts)
    kept = [corpus[i] for i in range(3) if len(corpus[i].masks) > 1]
    assert len(made) >= len(kept)
    for one, scene in zip(made, kept, strict=False):
        count = len(scene.masks)
        assert one.features.shape == (READINGS, count, 16)
        assert one.geometry.shape == (READINGS, count, count, GEOMETRY_SIZE)
        torch.testing.assert_close(one.geometry[0], pair_geometry(list(scene.masks)))
        assert torch.equal(one.target, relation_target(list(scene.masks)))
        # A click shows something else than the mask itself does.
        assert not torch.equal(one.features[0], one.features[1])
    monkeypatch.setattr("training.nano.relation_examples.compose_scene", lambda *a, **k: 1 / 0)
    for one, again in zip(made, examples(path, corpus, cutouts), strict=True):
        for field in ("features", "geometry", "target"):
            assert torch.equal(getattr(one, field), getattr(again, field))
    with pytest.raises(DataError, match="what another segmenter has seen: delete .*relations"):
        examples(path, corpus, cutouts, seed=1)


def test_the_target_is_what_is_true(cutouts: CutoutLibrary) -> None:
    for seed in NESTED:
        masks = [item.mask for item in compose_scene(cutouts, seed, nested=True).objects]
        target = relation_target(masks)
        held = {(s, PREDICATES[p], o) for p, s, o in target.nonzero().tolist()}
        assert held == set(scene_relations(masks))


def _example(count: int, seed: int) -> RelationExample:
    generator = torch.Generator().manual_seed(seed)
    return RelationExample(
        torch.randn(READINGS, count, 16, generator=generator),
        torch.randn(READINGS, count, count, GEOMETRY_SIZE, generator=generator),
        (torch.rand(len(PREDICATES), count, count, generator=generator) < 0.2).float(),
    )


def test_a_batch_costs_the_mean_of_its_scenes() -> None:
    """Padding counts for nothing, and each scene is read as it was drawn."""
    torch.manual_seed(0)
    relations = RelationModel(relation_config(16)).eval()
    scenes, readings = [_example(2, 1), _example(4, 2), _example(3, 3)], [1, 0, 1]
    together = _loss(relations, scenes, readings).loss
    alone = [
        _loss(relations, [one], [reading]).loss
        for one, reading in zip(scenes, readings, strict=True)
    ]
    torch.testing.assert_close(together, torch.stack(alone).mean())
    assert _loss(relations, scenes, [0, 0, 1]).loss != together


def test_a_few_steps_learn_directions_from_geometry() -> None:
    """Left and right of, on boxes that a line of code tells apart."""
    torch.manual_seed(0)
    relations = RelationModel(relation_config(16))
    relations.train(True)
    rng = np.random.default_rng(0)
    masks = []
    for _ in range(20):
        mask = np.zeros((2, 64, 64), bool)
        for one, start in zip(mask, rng.permutation([2, 40]), strict=True):
            top = int(rng.integers(20, 30))
            one[top : top + 12, start : start + 12] = True
        masks.append(list(mask))
    scenes = [
        RelationExample(
            torch.randn(READINGS, 2, 16),
            torch.stack([pair_geometry(two)] * READINGS),
            relation_target(two),
        )
        for two in masks
    ]
    optimizer = torch.optim.AdamW(relations.parameters(), lr=3e-3)
    values = {}
    for _ in range(40):
        report = _loss(relations, scenes, [0] * len(scenes))
        optimizer.zero_grad()
        report.loss.backward()
        optimizer.step()
        values = report.values
    assert values["recall"] > 0.95
    assert values["precision"] > 0.95
