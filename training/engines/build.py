"""Chooses the engine that a configuration names."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from lisa.errors import ConfigError
from lisa.models import LisaModel
from training.config import TrainConfig
from training.engines.accelerate_engine import AccelerateEngine
from training.engines.contract import Engine
from training.engines.deepspeed_engine import DeepSpeedEngine
from training.step import LossSumsOf


def build_engine(
    model: LisaModel, learning: Mapping[str, nn.Parameter], config: TrainConfig
) -> Engine:
    """Put a model where it learns.

    Args:
        model: With what it has learnt so far.
        learning: Parameters that learn, by name.
        config: Of the run.

    Raises:
        ConfigError: If the engine cannot run what the configuration asks for.
        MissingDependencyError: If something that it names is not installed.
    """
    autocast = {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(model.dtype, "no")
    wrapped, engine = LossSumsOf(model), config.engine
    if engine.kind == "accelerate":
        return AccelerateEngine(wrapped, learning, config.optimizer, autocast, config.output)
    if engine.zero_stage == 3 and config.model.quantize is not None:
        raise ConfigError(
            f"ZeRO-3 cannot divide {config.model.quantize} weights: set engine.zero_stage=2, or "
            "leave model.quantize out."
        )
    return DeepSpeedEngine(
        wrapped, model.backbone, learning, config.optimizer, engine, autocast, config.output
    )
