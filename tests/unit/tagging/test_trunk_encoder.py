"""A tagger on the vision tower of a LISA model, which alone stores the tower."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from lisa.base_weights import DELTA_FILE
from lisa.errors import CheckpointError, ConfigError
from lisa.models import TrunkConfig
from lisa.models.trunk import TrunkModel
from lisa.tagging import Tagger, TagInfo, build_model
from lisa.tagging.models import TaggingModel
from lisa.tagging.trunk_encoder import join_maps
from tests.tiny_nano import ARCHITECTURE, MAPS
from tests.tiny_tagging import assert_same_answers, trunk_model, write_lisa
from tests.unit.odd_files import photo

PICTURES = [photo(60, 40), photo(33, 90, seed=1), photo(64, 64, seed=2)]
TAGS = [TagInfo("dog", 0.4, "object"), TagInfo("animal", 0.3, "kind"), TagInfo("red", 0.5)]
TOWER = "visual_encoder.tower."


@pytest.fixture(scope="module")
def lisa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lisa(tmp_path_factory.mktemp("lisa"))


@pytest.fixture(scope="module")
def model(lisa: Path) -> TaggingModel:
    return trunk_model(lisa, len(TAGS))


def test_only_the_head_is_saved(model: TaggingModel, tmp_path: Path):
    tagger = Tagger(model, TAGS)
    tagger.save_pretrained(tmp_path / "ours")
    stored = set(load_file(tmp_path / "ours" / "model.safetensors"))
    assert stored == {name for name in model.state_dict() if not name.startswith(TOWER)}
    again = Tagger.from_pretrained(tmp_path / "ours", device="cpu", dtype="float32")
    assert again.tags == tagger.tags
    assert again.model.config == model.config
    assert_same_answers(again, tagger, PICTURES)
    assert tagger.probabilities(PICTURES).std(dim=0).min() > 1e-3  # pictures do matter
    counters = {v.dtype for k, v in again.model.state_dict().items() if "num_batches" in k}
    assert counters == {torch.int64}


def test_a_tagger_in_the_folder_of_a_lisa_model(model: TaggingModel, lisa: Path, tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    Tagger(model, TAGS).save_pretrained(tmp_path / "tagging")
    tagger = Tagger.from_pretrained(tmp_path, device="cpu", dtype="float32")
    assert_same_answers(tagger, Tagger(model, TAGS), PICTURES)


def test_a_tower_in_a_delta(model: TaggingModel, lisa: Path, tmp_path: Path):
    """As `lisa-nano` has it: in half precision, beside weights of other parts."""
    weights = load_file(lisa / "model.safetensors")
    half = {
        k.replace("backbone.vision", "backbone.model.vision"): v.half()
        if v.dtype.is_floating_point
        else v
        for k, v in weights.items()
    }
    (tmp_path / "lisa").mkdir()
    save_file(half, tmp_path / "lisa" / DELTA_FILE)
    config = model.config
    moved = replace(config, encoder=replace(config.encoder, weights_of=str(tmp_path / "lisa")))
    Tagger(model, TAGS).save_pretrained(tmp_path / "ours")
    (tmp_path / "ours" / "tagging.json").write_text(json.dumps(moved.to_dict()))
    tagger = Tagger.from_pretrained(tmp_path / "ours", device="cpu", dtype="float32")
    assert {p.dtype for p in tagger.model.parameters()} == {torch.float32}
    torch.testing.assert_close(
        tagger.probabilities(PICTURES),
        Tagger(model, TAGS).probabilities(PICTURES),
        atol=0.02,
        rtol=0,
    )


def test_another_tower(model: TaggingModel, lisa: Path, tmp_path: Path):
    Tagger(model, TAGS).save_pretrained(tmp_path / "ours")
    weights = load_file(lisa / "model.safetensors")
    (name,) = (name for name in weights if name.endswith("vision_tower.trunk.conv_stem.weight"))
    weights[name] = weights[name][:3].contiguous()
    (tmp_path / "lisa").mkdir()
    save_file(weights, tmp_path / "lisa" / "model.safetensors")
    encoder = replace(model.config.encoder, weights_of=str(tmp_path / "lisa"))
    moved = replace(model.config, encoder=encoder)
    (tmp_path / "ours" / "tagging.json").write_text(json.dumps(moved.to_dict()))
    with pytest.raises(CheckpointError, match=r"vision tower of .* is not the one .*conv_stem"):
        Tagger.from_pretrained(tmp_path / "ours", device="cpu")


def test_batched_equals_single_and_a_subset_keeps_its_probabilities(model: TaggingModel):
    tagger = Tagger(model, TAGS)
    together = tagger.probabilities(PICTURES)
    single = torch.cat([tagger.probabilities([one]) for one in PICTURES])
    torch.testing.assert_close(together, single, atol=1e-5, rtol=1e-5)
    part = tagger.restricted(categories=["kind"])
    torch.testing.assert_close(part.probabilities(PICTURES), together[:, 1:2], atol=1e-5, rtol=1e-5)


def test_words_of_ones_own_are_refused(model: TaggingModel):
    with pytest.raises(ConfigError, match="knows only the tags that it was trained with"):
        Tagger(model, TAGS).with_words(["teapot"], None)


def test_the_tower_neither_learns_nor_counts(model: TaggingModel):
    fresh = build_model(model.config)
    fresh.train(True)
    learning = {name for name, one in fresh.named_parameters() if one.requires_grad}
    assert learning
    assert not {name for name in learning if name.startswith(TOWER)}
    before = {k: v.clone() for k, v in fresh.state_dict().items() if k.startswith(TOWER)}
    fresh.encode(torch.rand(2, 3, 64, 64))
    after = fresh.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_maps_on_one_grid():
    tower = TrunkModel(TrunkConfig(architecture=ARCHITECTURE, image_size=64)).eval()
    with torch.no_grad():
        states = tower(torch.rand(2, 3, 64, 64)).hidden_states
    joined = join_maps(states[1:], 4)
    assert joined.shape == (2, sum(MAPS[1:]), 4, 4)
    start = MAPS[1] + MAPS[2]
    # 64 / 16 places of the third map: only its channels are normalised.
    same = F.layer_norm(states[3], (MAPS[3],)).transpose(1, 2).unflatten(2, (4, 4))
    torch.testing.assert_close(joined[:, start : start + MAPS[3]], same)
    for part in joined.split(MAPS[1:], dim=1):
        torch.testing.assert_close(part.mean(dim=1), torch.zeros(2, 4, 4), atol=1e-5, rtol=0)
