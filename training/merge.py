"""From a checkpoint of a run to a model that stands alone."""

from __future__ import annotations

from pathlib import Path

from lisa.errors import CheckpointError, ConfigError
from lisa.pipeline import LisaPipeline
from lisa.settings import build_settings, read_yaml
from training.adapters import fold_adapters, number_types, start_learning
from training.checkpoints import faults_of
from training.config import TrainConfig
from training.run import CONFIG_FILE
from training.start import open_start
from training.state import load_trained


def merge(checkpoint: Path, target: Path) -> None:
    """Write the model that a run started from with everything folded in that it has learnt.

    Args:
        checkpoint: Folder of a step, as `training.checkpoints` writes it.
        target: Folder to write; number types are those of the model that the run started from.

    Raises:
        CheckpointError: If the checkpoint is damaged or what it started from is not there.
        ConfigError: If the run was quantised: its weights have no full form to fold into.
    """
    faults = faults_of(checkpoint)
    if faults:
        raise CheckpointError(f"{str(checkpoint)!r} is no whole checkpoint: {'; '.join(faults)}.")
    config = build_settings(TrainConfig, read_yaml(checkpoint / CONFIG_FILE), str(checkpoint))
    if config.model.quantize is not None:
        raise ConfigError(
            f"The run was trained on {config.model.quantize} weights, which nothing can be folded "
            "into: keep its trained.safetensors beside the quantised model."
        )
    pipeline: LisaPipeline = open_start(config)
    dtypes = number_types(pipeline.model)
    _, learning = start_learning(pipeline.model, config.learning)
    load_trained(checkpoint, learning)
    fold_adapters(pipeline.model, dtypes)
    pipeline.model.save_pretrained(target)
    pipeline.processor.save_pretrained(target)
