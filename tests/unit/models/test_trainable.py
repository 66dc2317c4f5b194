from __future__ import annotations

import pytest
import torch

from lisa.errors import ConfigError
from lisa.models import packing
from lisa.models.trainable import TRAINABLE, set_trainable, trainable_plan
from tests.tiny import tiny_model


def test_lisa_trains_exactly_these() -> None:
    model = tiny_model()
    plan = set_trainable(model, "lisa")
    layer = "backbone.model.language_model.layers.{}.self_attn.{}_proj"
    assert plan.lora == tuple(layer.format(i, part) for i in (0, 1) for part in "qv")
    decoder = {n for n, _ in model.named_parameters() if n.startswith("segmenter.mask_decoder.")}
    assert len(decoder) > 100
    assert set(plan.full) == decoder | {
        "backbone.lm_head.weight",
        "backbone.model.language_model.embed_tokens.weight",
        "mask_projection.0.weight",
        "mask_projection.0.bias",
        "mask_projection.2.weight",
        "mask_projection.2.bias",
    }
    assert {n for n, p in model.named_parameters() if p.requires_grad} == set(plan.full)


def test_nano_leaves_tower_and_language_model_alone() -> None:
    plan = trainable_plan(tiny_model(), "nano")
    parts = {name.split(".")[2] if name.startswith("backbone") else "rest" for name in plan.full}
    assert parts == {"multi_modal_projector", "rest"}


@pytest.mark.parametrize("name", sorted(TRAINABLE))
def test_counts_cover_every_parameter(name: str) -> None:
    model = tiny_model()
    plan = trainable_plan(model, name)
    assert sum(plan.counts.values()) == sum(p.numel() for p in model.parameters())
    assert f"full {plan.counts['full']:,}" in str(plan)


def test_an_unknown_name() -> None:
    with pytest.raises(ConfigError, match="no set of trainable parts 'x'"):
        trainable_plan(tiny_model(), "x")


@pytest.mark.parametrize("name", ["lisa", "lisa_all_linear", "nano"])
def test_lora_needs_layers_that_take_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    if not packing.can_pack_weights(model.backbone, torch.float32):
        pytest.skip("packing pays on x86 CPUs only")
    monkeypatch.setattr(packing, "SMALLEST", 1)
    packing.pack_large_weights(model.backbone, torch.float32)
    with pytest.raises(ConfigError, match=f"'{name}' put LoRA layers .* pack_weights=False"):
        trainable_plan(model, name)
