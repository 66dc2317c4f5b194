"""What learns and the optimiser's moments on disk, so that a run can go on bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lisa.errors import CheckpointError

TRAINED = "trained.safetensors"
OPTIMIZER = "optimizer.safetensors"


@dataclass(frozen=True, eq=False)
class TrainingState:
    """What a run goes on from.

    Attributes:
        trained: What learns, whole, by name.
        moments: What the optimiser remembers, as `moments_of` names it.
    """

    trained: Mapping[str, Tensor]
    moments: Mapping[str, Tensor]


def save_state(folder: Path, state: TrainingState, metadata: Mapping[str, str]) -> None:
    """Write `trained.safetensors` and `optimizer.safetensors` into a folder.

    Args:
        folder: That is there.
        state: Of the run.
        metadata: Kept beside the weights.
    """
    save_file(_on_cpu(state.trained), folder / TRAINED, metadata=dict(metadata))
    save_file(_on_cpu(state.moments), folder / OPTIMIZER)


def load_trained(folder: Path, parameters: Mapping[str, Tensor]) -> dict[str, str]:
    """Restore what was learnt, in place, without the optimiser.

    Returns:
        The metadata.

    Raises:
        CheckpointError: If it is damaged or of a run in which other parts learn.
    """
    with _open(folder / TRAINED) as file:
        stored = set(file.keys())
        other = sorted(stored.symmetric_difference(parameters))
        if other:
            raise CheckpointError(
                f"{str(folder)!r} is of a run in which other parts learn ({other[0]} is only in "
                f"{'the checkpoint' if other[0] in stored else 'this run'}): use its own config."
            )
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(file.get_tensor(name))
        return dict(file.metadata() or {})


def moments_of(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Name what an optimiser remembers.

    Args:
        optimizer: Over exactly these parameters.
        parameters: By name.

    Returns:
        Such as `exp_avg/NAME`, for those parameters that have had a gradient.
    """
    return {
        f"{kind}/{name}": value
        for name, parameter in parameters.items()
        for kind, value in optimizer.state.get(parameter, {}).items()
    }


def restore_moments(
    folder: Path, optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]
) -> None:
    """Restore what an optimiser remembered.

    Args:
        folder: That :func:`save_state` wrote into.
        optimizer: Over exactly these parameters.
        parameters: By the names that :func:`moments_of` was given.

    Raises:
        CheckpointError: If it is damaged.
    """
    state: dict[str, dict[str, Tensor]] = {}
    with _open(folder / OPTIMIZER) as file:
        for key in file.keys():
            kind, name = key.split("/", 1)
            if name in parameters:
                # AdamW counts its steps on the CPU.
                device = "cpu" if kind == "step" else parameters[name].device
                state.setdefault(name, {})[kind] = file.get_tensor(key).to(device)
    for name, moments in state.items():
        optimizer.state[parameters[name]] = moments


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: one.detach().cpu().contiguous() for name, one in tensors.items()}


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{str(path)!r} is missing or damaged ({error}).") from error
