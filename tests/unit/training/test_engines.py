"""Which engine a configuration gets, and what it is told when it cannot have it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from lisa.errors import ConfigError, MissingDependencyError
from lisa.settings import build_settings, override
from tests.tiny import tiny_model
from training.adapters import start_learning
from training.config import TrainConfig
from training.engines.accelerate_engine import AccelerateEngine
from training.engines.build import build_engine
from training.engines.contract import Engine


def build(folder: Path, *words: str, half: bool = False) -> Engine:
    data = {"data": {"registry": "data.yaml"}, "output": {"folder": str(folder)}, "device": "cpu"}
    config = build_settings(TrainConfig, override(data, words), "test")
    model = tiny_model()
    if half:
        model.half()
    _, learning = start_learning(model, config.learning)
    return build_engine(model, learning, config)


def test_accelerate_is_the_usual_one(tmp_path: Path) -> None:
    engine = build(tmp_path)
    assert isinstance(engine, AccelerateEngine)
    assert (engine.processes, engine.process, engine.device.type) == (1, 0, "cpu")
    assert engine.sum([1.0, 2.5]) == [1.0, 2.5]


def test_deepspeed_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "deepspeed" else real(name, *rest),
    )
    with pytest.raises(MissingDependencyError, match=r"pip install 'lisa-assistant\[deepspeed\]'"):
        build(tmp_path, "engine.kind=deepspeed")


def test_deepspeed_does_not_compute_in_float16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: True)
    with pytest.raises(ConfigError, match="in bfloat16 or float32, not float16: set model.dtype"):
        build(tmp_path, "engine.kind=deepspeed", half=True)


def test_quantised_weights_cannot_be_divided(tmp_path: Path) -> None:
    words = ["engine.kind=deepspeed", "engine.zero_stage=3", "model.quantize=4bit"]
    with pytest.raises(ConfigError, match="cannot divide 4bit weights: set engine.zero_stage=2"):
        build(tmp_path, *words)
