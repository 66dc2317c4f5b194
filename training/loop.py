"""The optimiser loop: steps, learning-rate schedule, log, and exact resume.

A run is a function of its settings and of an iterator that gives the same batches in the same order
every time: to resume, the loop skips the batches that are done. Everything it needs is in two files
of the run's folder, `log.jsonl` and `state.safetensors`.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lisa.errors import DataError
from training.log import RunLog
from training.schedule import learning_rate_share

Batch = TypeVar("Batch")

_FINAL_SHARE = 0.02
_STATE = "state.safetensors"


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
    """
    settings.folder.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.AdamW(
        list(parameters.values()), lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=0.0
    )
    first = done = _load_state(settings, parameters, optimizer)
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
                _save_state(settings, parameters, optimizer, done)
    if done < settings.steps:
        raise DataError(f"The batches end after {done} of {settings.steps} steps: give more data.")


def _save_state(
    settings: RunSettings,
    parameters: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    step: int,
) -> None:
    tensors = {f"parameter/{name}": p.detach().contiguous() for name, p in parameters.items()}
    counts: dict[str, float] = {}
    for name, parameter in parameters.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            if key == "step":
                counts[name] = float(value)
            else:
                tensors[f"{key}/{name}"] = value.contiguous()
    # One file, renamed into place: an interrupted save leaves the previous state as it was.
    metadata = {"step": str(step), "counts": json.dumps(counts)}
    staging = settings.folder / f"{_STATE}.part"
    save_file(tensors, staging, metadata=metadata)
    os.replace(staging, settings.folder / _STATE)


def _load_state(
    settings: RunSettings, parameters: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
) -> int:
    """Restore a saved state in place and return the next step; 0 if there is none."""
    path = settings.folder / _STATE
    if not path.exists():
        return 0
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata: dict[str, Any] = file.metadata()
    tensors = load_file(path)
    counts = json.loads(metadata["counts"])
    with torch.no_grad():
        for name, parameter in parameters.items():
            if f"parameter/{name}" not in tensors:
                raise DataError(
                    f"{path} is of a run with other parameters ({name} is not in it): "
                    "choose another folder or delete it."
                )
            parameter.copy_(tensors[f"parameter/{name}"])
            state = {
                key.split("/", 1)[0]: value
                for key, value in tensors.items()
                if key.split("/", 1)[1] == name and not key.startswith("parameter/")
            }
            if state:
                state["step"] = torch.tensor(counts[name])
                optimizer.state[parameter] = state
    return int(metadata["step"])
