"""The tagger's stage on a few scenes and a tiny trunk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lisa.data.knowledge import load_knowledge
from lisa.data.scene_tags import scene_vocabulary
from lisa.data.scenes import WIDE, CutoutLibrary, compose_scene
from lisa.errors import DataError
from lisa.tagging import Tagger
from tests.tiny_nano import library, nano_model, nano_processor
from training.nano import tagger_stage as module
from training.nano.corpus import Corpus, build_corpus
from training.nano.recipe import Stage
from training.nano.tagger_stage import collect_scenes, learn_tags, tagger_config, train_tagger

SEEDS = range(100, 112)
STAGE = Stage(steps=25, scenes=4, learning_rate=3e-3, warmup=2)
NAMES = ("cow", "apple", "car", "sock", "moon", "rose")


@pytest.fixture(scope="module")
def cutouts(tmp_path_factory: pytest.TempPathFactory) -> CutoutLibrary:
    folder = tmp_path_factory.mktemp("cutouts")
    return library(folder, {name: (f"{name}.png",) for name in NAMES})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, cutouts: CutoutLibrary) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    return build_corpus(folder, nano_model(), nano_processor(), cutouts, SEEDS)


def test_what_is_learned_from(corpus: Corpus, cutouts: CutoutLibrary):
    scenes = collect_scenes(corpus, cutouts, load_knowledge())
    vocabulary = [tag.name for tag in scene_vocabulary(load_knowledge())]
    assert scenes.maps.shape == (len(SEEDS), sum(scenes.channels), 8, 8)
    for index, seed in enumerate(SEEDS):
        scene = compose_scene(cutouts, seed, variation=WIDE)
        shown = {vocabulary[place] for place in scenes.shown[index].nonzero()[:, 0].tolist()}
        assert set(scene.names) == shown & set(NAMES)
        # Every place has the tags of one thing, or none at all; together they are the scene's.
        rows = scenes.things[scenes.places[index]]
        assert not (rows & ~scenes.shown[index]).any()
        for row in rows:
            assert sum(bool(row[vocabulary.index(name)]) for name in NAMES) <= 1
    assert not scenes.things[-1].any()


def test_other_cutouts_are_noticed(corpus: Corpus, tmp_path: Path):
    others = library(tmp_path, {name: (f"{name}.png",) for name in ("cow", "well", "key", "bus")})
    with pytest.raises(DataError, match="build the corpus anew"):
        collect_scenes(corpus, others, load_knowledge())


def test_from_scenes_to_a_tagger_in_a_checkpoint(
    corpus: Corpus, cutouts: CutoutLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = nano_model()
    model.save_pretrained(tmp_path / "out")
    monkeypatch.setattr(module, "NANO", str(tmp_path / "out"))
    for _ in range(2):  # the second time nothing is left to learn
        train_tagger(model, corpus, cutouts, STAGE, 1, tmp_path / "work", tmp_path / "out")
    log = (tmp_path / "out" / "tagging" / "log.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in log]
    assert len(losses) == STAGE.steps
    assert sum(losses[-3:]) < sum(losses[:3])
    tagger = Tagger.from_pretrained(tmp_path / "out", device="cpu", dtype="float32")
    assert [(t.name, t.category) for t in tagger.tags] == [
        (t.name, t.category) for t in scene_vocabulary(load_knowledge())
    ]
    picture = compose_scene(cutouts, SEEDS[0], variation=WIDE).image
    assert tagger.probabilities([picture]).isfinite().all()
    stored = load_file(tmp_path / "out" / "tagging" / "model.safetensors")
    assert {one.dtype for one in stored.values()} == {torch.float16}
    assert not any("tower" in name for name in stored)


def test_a_run_is_a_function_of_its_seed(corpus: Corpus, cutouts: CutoutLibrary, tmp_path: Path):
    knowledge = load_knowledge()
    scenes = collect_scenes(corpus, cutouts, knowledge)
    trunk = nano_model().backbone.model.vision_tower.config
    config = tagger_config(knowledge, trunk, scenes.channels)
    short = replace(STAGE, steps=3)
    first, again, other = (
        learn_tags(scenes, config, short, seed, tmp_path / name).get_parameter("fc.W")
        for seed, name in ((1, "a"), (1, "b"), (2, "c"))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
