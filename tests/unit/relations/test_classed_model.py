"""Relations of things with classes: the second stage alone, with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lisa.errors import CheckpointError, ConfigError
from lisa.relations import RelationPredictor
from lisa.relations.checkpoint import is_classed, load_classed_model, save_classed_model
from lisa.relations.classed_model import ClassedRelationConfig
from tests.unit.relations.tiny_relations import CONFIG, tiny_classed_model, tiny_predictor

MODEL = tiny_classed_model()


def things(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Features, classes and the whole of one picture."""
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(1, count, CONFIG.feature_size, generator=generator),
        torch.randint(len(MODEL.config.classes), (1, count), generator=generator),
        torch.randn(1, CONFIG.feature_size, generator=generator),
    )


@settings(deadline=None, max_examples=15)
@given(st.permutations(range(5)), st.integers(0, 1000))
@torch.no_grad()
def test_a_permutation_of_the_things_permutes_the_scores(order: list[int], seed: int):
    features, classes, whole = things(5, seed)
    scores = MODEL(features, classes, whole)
    permuted = MODEL(features[:, order], classes[:, order], whole)
    torch.testing.assert_close(permuted, scores[:, :, order][..., order], atol=1e-4, rtol=1e-4)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 5), st.integers(0, 3), st.integers(0, 1000))
@torch.no_grad()
def test_padding_changes_nothing(count: int, more: int, seed: int):
    features, classes, whole = things(count + more, seed)
    is_segment = torch.arange(count + more)[None] < count
    scores = MODEL(features, classes, whole, is_segment)[..., :count, :count]
    alone = MODEL(features[:, :count], classes[:, :count], whole)
    assert alone.shape == (1, len(CONFIG.predicates), count, count)
    torch.testing.assert_close(scores, alone, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_class_and_context_count():
    features, classes, whole = things(3, 0)
    scores = MODEL(features, classes, whole)
    others = (classes + 1) % len(MODEL.config.classes)
    assert not torch.allclose(MODEL(features, others, whole), scores, atol=1e-2)
    assert not torch.allclose(MODEL(features, classes, whole + 1), scores, atol=1e-2)


@torch.no_grad()
def test_saved_and_loaded(tmp_path: Path):
    save_classed_model(MODEL, tmp_path / "new")
    loaded = load_classed_model(tmp_path / "new")
    assert loaded.config == MODEL.config
    assert torch.equal(loaded(*things(4, 0)), MODEL(*things(4, 0)))
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "named_relations.json",
        "model.safetensors",
    }


def test_the_two_kinds_of_weights_are_told_apart(tmp_path: Path):
    save_classed_model(MODEL, tmp_path / "named")
    tiny_predictor().save_pretrained(tmp_path / "tokens")
    assert is_classed(tmp_path / "named")
    assert not is_classed(tmp_path / "tokens")
    assert not is_classed(tmp_path / "ram_epoch12.pth")
    with pytest.raises(CheckpointError, match="which read panoptic segments"):
        RelationPredictor.from_pretrained(tmp_path / "named", device="cpu")
    with pytest.raises(CheckpointError, match=r"holds no named_relations.json"):
        load_classed_model(tmp_path / "tokens")


def test_damaged_folders(tmp_path: Path):
    save_classed_model(MODEL, tmp_path)
    path = tmp_path / "named_relations.json"
    sound = json.loads(path.read_text())
    for changes, words in (
        ({"classes": "dog"}, "no list of names"),
        ({"classes": ["dog", "dog"]}, "different names"),
        ({"relations": 3}, "relations are no settings"),
        ({"relations": {**sound["relations"], "geometry_size": 4}}, "read no geometry"),
        ({"more": 3}, "were expected"),
        ({"classes": ["dog"]}, r"class_embedding.weight \(5, 16\) instead of \(1, 16\)"),
    ):
        path.write_text(json.dumps({**sound, **changes}))
        with pytest.raises(CheckpointError, match=words):
            load_classed_model(tmp_path)


def test_no_classes():
    with pytest.raises(ConfigError, match="one or more different names"):
        ClassedRelationConfig(classes=())
