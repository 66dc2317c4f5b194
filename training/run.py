"""A training run from its configuration to its last checkpoint.

The state of a run is what learns, the optimiser's moments and the number of steps that are done.
Everything else follows from the configuration: data from the position in the stream, dropout from a
seed that each micro-batch sets anew. That is why a run that was killed goes on bit for bit.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import yaml

import lisa
from lisa.data.formats import read_registry
from lisa.errors import ConfigError, DataError
from lisa.settings import plain
from training.adapters import describe, learning_mode, start_learning
from training.checkpoints import drop_old_checkpoints, step_of, write_checkpoint
from training.config import TrainConfig
from training.engine import Engine
from training.log import RunLog
from training.mixture import Mixture, WeightedReader
from training.resume import CHECKPOINTS, check_same_run, starting_point
from training.start import open_start
from training.step import LossSumsOf, take_step
from training.stream import Slots, micro_batches

CONFIG_FILE = "config.yaml"
_LEAST_BEFORE_STOPPING = 100


def train(config: TrainConfig, *, resume: bool = False) -> Path:
    """Run to the last step.

    Args:
        config: Of the run.
        resume: Go on from the newest whole checkpoint in the run's folder.

    Returns:
        The last checkpoint.

    Raises:
        LisaError: If anything that the configuration names is missing or does not fit, or too many
            records cannot be used.
    """
    folder = config.output.folder
    checkpoint = starting_point(config, resume)
    torch.manual_seed(config.seed)
    start = config.model
    pipeline = open_start(config)
    model, processor = pipeline.model, pipeline.processor
    if config.data.samples.rejects and model.config.reject_token_id is None:
        raise ConfigError(
            f"{start.start} has no token that says that a thing is not there: set "
            "data.samples.rejects=false."
        )
    plan, learning = start_learning(model, config.learning)
    if start.gradient_checkpointing:
        model.backbone.gradient_checkpointing_enable({"use_reentrant": False})
    learning_mode(model)
    mixture = open_mixture(config)
    autocast = {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(model.backbone.dtype, "no")
    engine = Engine(LossSumsOf(model), learning, config.optimizer, autocast, config.output)
    first = skipped = 0
    if checkpoint is not None:
        first = step_of(checkpoint)
        metadata = engine.load(checkpoint)
        check_same_run(metadata, config, engine.processes, checkpoint)
        skipped = int(metadata["skipped"])
    settings = config.optimizer
    slots = Slots(settings.batch, settings.accumulation, engine.processes, engine.process)
    batches = micro_batches(
        mixture,
        processor,
        slots,
        first=first,
        max_length=config.data.max_length,
        workers=config.data.workers,
    )
    if engine.process == 0:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG_FILE).write_text(yaml.safe_dump(plain(config), sort_keys=False))
        print(describe(plan, learning))
    with RunLog(folder, first, settings.steps, show=engine.process == 0) as log:
        for step in range(first, settings.steps):
            micro = [next(batches) for _ in range(settings.accumulation)]
            values = take_step(engine, config, micro, step)
            log.write(step, values)
            engine.track(step, values)
            done = step + 1
            skipped += int(values["skipped"])
            _check_damage(skipped, done * slots.pictures, config.data.damaged_share)
            if done % config.output.save_every == 0 or done == settings.steps:
                checkpoint = _save(engine, config, done, skipped)
    engine.close()
    assert checkpoint is not None
    return checkpoint


def open_mixture(config: TrainConfig) -> Mixture:
    """Open every data set of a run's registry.

    Raises:
        ConfigError: If the registry is wrong.
        DataError: If a data set is not complete.
    """
    entries = read_registry(config.data.registry).data_sets
    readers = [WeightedReader(one.name, one.open(), one.weight) for one in entries]
    return Mixture(readers, config.data.samples, config.seed, config.data.epoch)


def _check_damage(skipped: int, seen: int, share: float) -> None:
    """Stop a run whose data are too damaged; every process counts the same and stops with it."""
    if skipped > share * max(seen, _LEAST_BEFORE_STOPPING):
        raise DataError(
            f"{skipped} records cannot be used, more than {share:.0%} of the {seen} that were "
            "read: see them with `lisa data check`, or raise data.damaged_share."
        )


def _save(engine: Engine, config: TrainConfig, done: int, skipped: int) -> Path:
    """Write a checkpoint on the first process while the others wait."""
    folder = config.output.folder / CHECKPOINTS
    metadata = {
        "config": json.dumps(plain(config)),
        "processes": str(engine.processes),
        "skipped": str(skipped),
        "lisa": lisa.__version__,
    }

    def write(staged: Path) -> None:
        engine.save(staged, metadata)
        (staged / CONFIG_FILE).write_text(yaml.safe_dump(plain(config), sort_keys=False))

    if engine.process == 0:
        write_checkpoint(folder, done, write)
        drop_old_checkpoints(folder, config.output.keep)
    engine.wait()
    return folder / f"step-{done:08d}"
