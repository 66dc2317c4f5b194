"""What learns and the optimiser's moments on disk, so that a run can go on bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lisa.errors import CheckpointError

TRAINED = "trained.safetensors"
OPTIMIZER = "optimizer.safetensors"


def save_state(
    folder: Path,
    parameters: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    metadata: Mapping[str, str],
) -> None:
    """Write `trained.safetensors` and `optimizer.safetensors` into a folder.

    Args:
        folder: That is there.
        parameters: What learns, by name.
        optimizer: Over exactly these parameters.
        metadata: Kept beside the weights.
    """
    trained = {name: one.detach().cpu().contiguous() for name, one in parameters.items()}
    moments: dict[str, Tensor] = {}
    for name, parameter in parameters.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            moments[f"{key}/{name}"] = value.detach().cpu().contiguous()
    save_file(trained, folder / TRAINED, metadata=dict(metadata))
    save_file(moments, folder / OPTIMIZER)


def load_state(
    folder: Path, parameters: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
) -> dict[str, str]:
    """Restore what :func:`save_state` wrote, in place.

    Returns:
        The metadata.

    Raises:
        CheckpointError: If it is damaged or of a run in which other parts learn.
    """
    metadata = load_trained(folder, parameters)
    state: dict[str, dict[str, Any]] = {}
    with _open(folder / OPTIMIZER) as file:
        for key in file.keys():
            kind, name = key.split("/", 1)
            state.setdefault(name, {})[kind] = file.get_tensor(key)
    for name, parameter in parameters.items():
        if name in state:
            moved = {
                kind: value if kind == "step" else value.to(parameter.device)
                for kind, value in state[name].items()
            }
            optimizer.state[parameter] = moved
    return metadata


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


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{str(path)!r} is missing or damaged ({error}).") from error
