from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import training
from lisa.data.wordings import WORDINGS
from lisa.errors import ConfigError
from lisa.models.trainable import TRAINABLE
from lisa.settings import build_settings, plain
from training.config import TrainConfig, read_config

# `nano.yaml` is of another kind; test_recipe.py reads it.
CONFIGS = sorted(
    path for path in Path(training.__file__).parent.glob("configs/*.yaml") if path.stem != "nano"
)


def test_there_are_configurations() -> None:
    assert len(CONFIGS) >= 5


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_loads(path: Path) -> None:
    config = read_config(path)
    assert config.learning.parts in TRAINABLE
    assert config.data.samples.wording in WORDINGS
    assert config.data.registry.parent == path.parent
    assert build_settings(TrainConfig, yaml.safe_load(yaml.safe_dump(plain(config))), "") == config


def test_words_win_and_their_paths_are_from_here(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("data: {registry: data.yaml}\noutput: {folder: out}\n")
    assert read_config(path).data.registry == tmp_path / "data.yaml"
    config = read_config(path, ["data.registry=mine.yaml", "optimizer.steps=7"])
    assert config.data.registry == Path("mine.yaml").absolute()
    assert config.optimizer.steps == 7


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("optimizer.steps=0", "optimizer: steps must be 1 or more"),
        ("optimizer.learning_rate=-1", "learning_rate and clip must be above 0"),
        ("output.keep=0", "output: save_every and keep must be 1 or more"),
        ("optimiser.steps=3", "optimiser is unknown .did you mean optimizer"),
        ("model.quantize=3bit", "model.quantize must be one of 4bit, 8bit, not '3bit'"),
    ],
)
def test_what_cannot_run_is_refused(tmp_path: Path, word: str, message: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("data: {registry: data.yaml}\noutput: {folder: out}\n")
    with pytest.raises(ConfigError, match=message):
        read_config(path, [word])
