"""The optimiser loop: steps, learning-rate schedule, log, and exact resume.

A run is a function of its settings and of an iterator that gives the same batches in the same order
every time. It goes on from the newest checkpoint in its folder, past the batches that are done.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from lisa.errors import DataError
from training.checkpoints import (
    drop_old_checkpoints,
    latest_checkpoint,
    step_of,
    write_checkpoint,
)
from training.log import RunLog
from training.schedule import learning_rate_share
from training.state import (
    TrainingState,
    load_trained,
    moments_of,
    restore_moments,
    save_state,
)

Batch = TypeVar("Batch")

_FINAL_SHARE = 0.02
_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class RunSettings:
    """How a run of the optimiser goes.

    Attributes:
        name: Shown beside the progress bar.
        folder: Where log and state are kept.
        steps: Optimiser steps.
        learning_rate: Peak.
        warmup: Steps of linear warm-up, before a cosine down to 2 % of the peak.
        clip: Gradients are scaled down to at most this norm.
        save_every: Steps between saved states.
    """

    name: str
    folder: Path
    steps: int
    learning_rate: float
    warmup: int
    clip: float = 1.0
    save_every: int = 20


@dataclass(frozen=True)
class StepReport:
    """What a step's loss function returns.

    Attributes:
        loss: Scalar to minimise.
        values: Numbers to log, by name.
    """

    loss: Tensor
    values: Mapping[str, float]


def run(
    settings: RunSettings,
    parameters: Mapping[str, Tensor],
    batches: Iterable[Batch],
    loss_of: Callable[[Batch, int], StepReport],
) -> None:
    """Train `parameters` in place; a run that was interrupted goes on after its last saved state.

    Args:
        settings: Of the run.
        parameters: What learns, by name; the names identify them in the saved state.
        batches: The same sequence every time it is iterated; at least `settings.steps` long.
        loss_of: Loss of a batch at a step; called with gradients enabled.

    Raises:
        DataError: If the loss is not finite, or the batches end early.
        CheckpointError: If the folder holds a run of other parameters, or cannot be written.
    """
    settings.folder.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.AdamW(
        list(parameters.values()), lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=0.0
    )
    first = done = _resume(settings.folder, parameters, optimizer)
    with RunLog(settings.folder, first, settings.steps, show=True, name=settings.name) as log:
        for step, batch in enumerate(itertools.islice(batches, first, settings.steps), first):
            began = time.perf_counter()
            share = learning_rate_share(
                step, settings.steps, settings.warmup, "cosine", final=_FINAL_SHARE
            )
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * share
            report = loss_of(batch, step)
            if not torch.isfinite(report.loss):
                raise DataError(
                    f"The loss of step {step} is {report.loss.item()}: lower the learning rate and "
                    f"start again from {settings.folder}."
                )
            optimizer.zero_grad(set_to_none=True)
            report.loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(parameters.values(), settings.clip)
            optimizer.step()
            seconds = time.perf_counter() - began
            log.write(
                step,
                {
                    "loss": report.loss.item(),
                    **report.values,
                    "norm": float(norm),
                    "seconds": round(seconds, 3),
                },
            )
            done = step + 1
            if done % settings.save_every == 0 or done == settings.steps:
                _save(settings.folder, parameters, optimizer, done)
    if done < settings.steps:
        raise DataError(f"The batches end after {done} of {settings.steps} steps: give more data.")


def _save(
    folder: Path, parameters: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, done: int
) -> None:
    state = TrainingState(parameters, moments_of(optimizer, parameters))
    write_checkpoint(folder / _CHECKPOINTS, done, lambda staged: save_state(staged, state, {}))
    drop_old_checkpoints(folder / _CHECKPOINTS, keep=1)


def _resume(
    folder: Path, parameters: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
) -> int:
    """Restore the newest checkpoint in place and return the next step; 0 if there is none."""
    checkpoint = latest_checkpoint(folder / _CHECKPOINTS)
    if checkpoint is None:
        return 0
    load_trained(checkpoint, parameters)
    restore_moments(checkpoint, optimizer, parameters)
    return step_of(checkpoint)
