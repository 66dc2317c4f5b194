"""A training run from its configuration to its last checkpoint.

The state of a run is what learns, the optimiser's moments and the number of steps that are done.
Everything else follows from the configuration: data from the position in the stream, dropout from a
seed that each micro-batch sets anew. That is why a run that was killed goes on bit for bit.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
import yaml

import lisa
from lisa.data.formats import read_registry
from lisa.errors import ConfigError, DataError
from lisa.settings import plain
from training.adapters import describe, learning_mode, start_learning
from training.card import CARD, CardFacts, write_card
from training.checkpoints import (
    SCORES,
    best_checkpoint,
    drop_old_checkpoints,
    scores_of,
    step_of,
    write_checkpoint,
)
from training.config import TrainConfig
from training.engines.build import build_engine
from training.engines.contract import Engine
from training.log import RunLog
from training.mixture import Mixture, WeightedReader
from training.resume import CHECKPOINTS, check_same_run, starting_point
from training.start import open_start
from training.state import load_trained, save_state
from training.step import take_step
from training.stream import Slots, micro_batches
from training.validation import Validation, tracked

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
    # ZeRO-3 divides the weights, so both come before the engine.
    learns = describe(plan, learning)
    metadata = None if checkpoint is None else load_trained(checkpoint, learning)
    engine = build_engine(model, learning, config)
    validation = Validation(config, pipeline, engine.process, engine.processes)
    first = skipped = 0
    if checkpoint is not None and metadata is not None:
        first = step_of(checkpoint)
        check_same_run(metadata, config, engine.processes, checkpoint)
        engine.load_moments(checkpoint)
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
    facts = _facts(config, mixture, learns, engine.processes)
    if engine.process == 0:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG_FILE).write_text(yaml.safe_dump(plain(config), sort_keys=False))
        print(facts.learns)
    with RunLog(folder, first, settings.steps, show=engine.process == 0) as log:
        validation.begin(first)
        if first == 0:
            _validate(validation, engine, 0)
        for step in range(first, settings.steps):
            micro = [next(batches) for _ in range(settings.accumulation)]
            values = take_step(engine, config, micro, step)
            log.write(step, values)
            engine.track(step, values)
            done = step + 1
            skipped += int(values["skipped"])
            _check_damage(skipped, done * slots.pictures, config.data.damaged_share)
            scores = _validate(validation, engine, done)
            is_due = done % config.output.save_every == 0 or done == settings.steps
            if is_due or _is_best(engine, config, scores):
                checkpoint = _save(engine, facts, done, skipped, scores)
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


def _facts(config: TrainConfig, mixture: Mixture, learns: str, processes: int) -> CardFacts:
    entries = read_registry(config.data.registry).data_sets
    records = [len(one.reader) for one in mixture.readers]
    return CardFacts(config, learns, tuple(zip(entries, records, strict=True)), processes)


def _validate(validation: Validation, engine: Engine, done: int) -> dict[str, Any] | None:
    """Return the scores after so many steps; None if there is no validation then."""
    if not validation.is_due(done):
        return None
    with engine.whole():
        scores = validation.run(done)
    # A step's own numbers go to the trackers under its number from 0.
    engine.track(max(done - 1, 0), tracked(scores))
    return scores


def _is_best(engine: Engine, config: TrainConfig, scores: dict[str, Any] | None) -> bool:
    """Whether no checkpoint has better scores; the first process decides, it sees the folder."""
    if scores is None or scores["giou"] is None:
        return False
    best = best_checkpoint(config.output.folder / CHECKPOINTS)
    before = None if best is None else scores_of(best)
    is_best = (
        before is None or before["asked"] != scores["asked"] or before["giou"] < scores["giou"]
    )
    return engine.sum([float(engine.process == 0 and is_best)])[0] > 0


def _save(
    engine: Engine, facts: CardFacts, done: int, skipped: int, scores: dict[str, Any] | None
) -> Path:
    """Write a checkpoint on the first process while the others wait."""
    config = facts.config
    folder = config.output.folder / CHECKPOINTS
    metadata = {
        "config": json.dumps(plain(config)),
        "processes": str(engine.processes),
        "skipped": str(skipped),
        "lisa": lisa.__version__,
    }

    state = engine.state()

    def write(staged: Path) -> None:
        save_state(staged, state, metadata)
        (staged / CONFIG_FILE).write_text(yaml.safe_dump(plain(config), sort_keys=False))
        write_card(facts, done, staged / CARD)
        if scores is not None:
            (staged / SCORES).write_text(json.dumps(scores) + "\n", encoding="utf-8")

    if engine.process == 0:
        made = write_checkpoint(folder, done, write)
        shutil.copyfile(made / CARD, config.output.folder / CARD)
        drop_old_checkpoints(folder, config.output.keep)
    engine.wait()
    return folder / f"step-{done:08d}"
