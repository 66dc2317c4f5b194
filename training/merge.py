"""From a checkpoint of a run to a model that stands alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from lisa.errors import CheckpointError
from lisa.pipeline import LisaPipeline
from lisa.settings import build_settings, read_yaml
from training.adapters import fold_adapters, number_types, start_learning
from training.card import CARD
from training.checkpoints import faults_of
from training.config import TrainConfig
from training.run import CONFIG_FILE
from training.start import open_start
from training.state import load_trained


def merge(checkpoint: Path, target: Path) -> None:
    """Write the model that a run started from with everything folded in that it has learnt.

    A run on 4- or 8-bit weights is folded into the weights that these were made from. Its layers
    learnt beside rounded weights, so answers may differ a little from those during the run.

    Args:
        checkpoint: Folder of a step, as `training.checkpoints` writes it.
        target: Folder to write; number types are those of the model that the run started from.

    Raises:
        CheckpointError: If the checkpoint is damaged or what it started from is not there.
    """
    faults = faults_of(checkpoint)
    if faults:
        raise CheckpointError(f"{str(checkpoint)!r} is no whole checkpoint: {'; '.join(faults)}.")
    config = build_settings(TrainConfig, read_yaml(checkpoint / CONFIG_FILE), str(checkpoint))
    # Few bits could not hold what was learnt; the weights that they were made from can.
    whole = replace(config, model=replace(config.model, quantize=None))
    pipeline: LisaPipeline = open_start(whole)
    dtypes = number_types(pipeline.model)
    _, learning = start_learning(pipeline.model, config.learning)
    load_trained(checkpoint, learning)
    fold_adapters(pipeline.model, dtypes)
    pipeline.model.save_pretrained(target)
    pipeline.processor.save_pretrained(target)
    if (checkpoint / CARD).is_file():  # runs of earlier versions have none
        shutil.copyfile(checkpoint / CARD, target / CARD)
