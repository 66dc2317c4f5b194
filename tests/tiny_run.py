"""A training run that takes a second: a tiny model, a user's own data, and its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lisa.settings import build_settings, override
from tests.data_sets import own_jsonl
from tests.tiny import tiny_model, tiny_processor
from training.config import TrainConfig

STEPS = 4
TRAINING = {"name": "own", "format": "jsonl", "path": "own", "split": "train"}


def write_model(folder: Path) -> Path:
    """Write the model that runs start from; returns its folder."""
    tiny_model().save_pretrained(folder / "model")
    tiny_processor().save_pretrained(folder / "model")
    return folder / "model"


def write_ground(folder: Path, **sections: Any) -> Path:
    """Write model, data and registry; returns `folder`.

    Args:
        folder: Where to write.
        **sections: Of the registry, besides the training data.
    """
    write_model(folder)
    own_jsonl.write(folder / "own")
    write_registry(folder, **sections)
    return folder


def write_registry(folder: Path, **sections: Any) -> None:
    """Write `data.yaml`."""
    (folder / "data.yaml").write_text(yaml.safe_dump({"data_sets": [TRAINING], **sections}))


def run_config(ground: Path, output: Path, *words: str, **sections: Any) -> TrainConfig:
    """Configure a run of `STEPS` steps.

    Args:
        ground: What `write_ground` wrote.
        output: Folder of the run.
        *words: As behind `lisa train`.
        **sections: Of the configuration, in the place of those here.
    """
    data = {
        "data": {"registry": str(ground / "data.yaml"), "workers": 0, "max_length": 2000},
        "output": {"folder": str(output), "save_every": 2},
        "model": {"start": str(ground / "model"), "dtype": "float32"},
        "device": "cpu",
        **sections,
    }
    return build_settings(TrainConfig, override(data, words), "test")
