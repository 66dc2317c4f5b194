from __future__ import annotations

import pytest
import torch
from torch import nn

from lisa.errors import ConfigError
from tests.tiny import tiny_model
from tests.tiny_nano import nano_model
from training.adapters import (
    describe,
    fold_adapters,
    learning_mode,
    number_types,
    start_learning,
)
from training.config import LearningSettings


def logits_of(model: nn.Module) -> torch.Tensor:
    torch.manual_seed(0)
    ids = torch.randint(3, 50, (1, 9))
    with torch.no_grad():
        return model.eval().backbone(input_ids=ids).logits


@pytest.mark.parametrize("parts", ["lisa", "nano", "all"])
def test_what_learns_is_what_the_table_says(parts: str) -> None:
    model = tiny_model()
    plan, learning = start_learning(model, LearningSettings(parts))
    assert set(learning) == {n for n, p in model.named_parameters() if p.requires_grad}
    for name in learning:
        module = name.split(".lora_")[0]
        assert name in plan.full or module in plan.lora, name
    lora = [name for name in learning if ".lora_" in name]
    assert len(lora) == 2 * len(plan.lora)
    assert not any("vision_tower" in name for name in lora)


def test_fresh_layers_change_nothing_and_trained_ones_fold_away() -> None:
    model = tiny_model()
    plain, dtypes = logits_of(model), number_types(model)
    names = [name for name, _ in model.named_parameters()]
    _, learning = start_learning(model, LearningSettings("lisa"))
    torch.testing.assert_close(logits_of(model), plain)
    with torch.no_grad():
        for name, parameter in learning.items():
            if ".lora_B." in name:
                parameter.normal_(std=0.2)
    trained = logits_of(model)
    assert not torch.allclose(trained, plain, atol=1e-2)
    fold_adapters(model, dtypes)
    assert [name for name, _ in model.named_parameters()] == names
    torch.testing.assert_close(logits_of(model), trained, atol=1e-4, rtol=1e-4)


def test_number_types_come_back() -> None:
    model = tiny_model().to(torch.bfloat16)
    dtypes = number_types(model)
    _, learning = start_learning(model, LearningSettings("lisa"))
    assert {parameter.dtype for parameter in learning.values()} == {torch.float32}
    fold_adapters(model, dtypes)
    assert number_types(model) == dtypes


def test_a_frozen_trunk_keeps_its_statistics() -> None:
    model = nano_model()
    start_learning(model, LearningSettings("nano", lora_dropout=0.5))
    learning_mode(model)
    tower = model.backbone.model.vision_tower
    before = {name: buffer.clone() for name, buffer in tower.named_buffers()}
    assert any("running_mean" in name for name in before)
    tower(torch.randn(2, 3, 64, 64))
    assert all(torch.equal(buffer, before[name]) for name, buffer in tower.named_buffers())
    dropouts = [
        one
        for name, one in model.named_modules()
        if "lora_dropout" in name and not list(one.children())
    ]
    assert dropouts
    assert all(one.training for one in dropouts)


def test_the_table_is_printed_with_its_counts() -> None:
    model = tiny_model()
    total = sum(parameter.numel() for parameter in model.parameters())
    plan, learning = start_learning(model, LearningSettings("lisa"))
    text = describe(plan, learning)
    count = sum(parameter.numel() for parameter in learning.values())
    assert f"{count:,}  in all" in text
    assert f"beside {total - plan.counts['full']:,} frozen" in text
    assert "LoRA  backbone.model" in text


def test_an_unknown_entry() -> None:
    with pytest.raises(ConfigError, match="no set of trainable parts 'everything'"):
        start_learning(tiny_model(), LearningSettings("everything"))
