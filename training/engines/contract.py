"""What a run wants of an engine: passes, steps and state on one process or many.

The caller divides the loss so that the sum of all gradients, over micro-batches and processes, is
the gradient of the step. Whatever is beneath averages over processes, so engines multiply by their
number.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from lisa.errors import MissingDependencyError
from training.config import OptimizerSettings, OutputSettings
from training.examples import Batch
from training.state import TrainingState


class Engine(ABC):
    """A model that learns, and its optimiser.

    Attributes:
        processes: How many take part.
        process: Which of them this is, from 0.
        device: Of the model.
    """

    def __init__(self, accelerator: Accelerator, output: OutputSettings) -> None:
        """Take part.

        Args:
            accelerator: Knows the processes and the trackers; made by :func:`join_processes`.
            output: Says where numbers go.
        """
        self._accelerator = accelerator
        if output.trackers:
            accelerator.init_trackers(output.folder.name)
        self.processes: int = accelerator.num_processes
        self.process: int = accelerator.process_index
        self.device: torch.device = accelerator.device

    @abstractmethod
    def __call__(self, batch: Batch) -> Tensor:
        """Run the model."""

    @abstractmethod
    def micro_batch(self, *, last: bool) -> AbstractContextManager[None]:
        """Around the passes of a micro-batch; `last` is the last one of its step."""

    @abstractmethod
    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss, which is this process's part of the step's."""

    @abstractmethod
    def step(self, learning_rate: float) -> float:
        """Change what learns and forget the gradients; returns their norm before clipping."""

    @abstractmethod
    def state(self) -> TrainingState:
        """Gather what a run goes on from.

        Every process has to take part; only the first one gets anything.
        """

    @abstractmethod
    def load_moments(self, folder: Path) -> None:
        """Restore the optimiser's part of what :func:`training.state.save_state` wrote.

        Raises:
            CheckpointError: If it is damaged.
        """

    def whole(self) -> AbstractContextManager[None]:
        """Around any other use of the model: all its weights are there meanwhile.

        Every process has to take part.
        """
        return nullcontext()

    def sum(self, values: list[float]) -> list[float]:
        """Add numbers over the processes."""
        here = torch.tensor(values, dtype=torch.float64, device=self.device)
        if self.device.type == "mps":  # has no float64
            here = here.float()
        total: Any = self._accelerator.reduce(here, reduction="sum")
        return [float(one) for one in total]

    def wait(self) -> None:
        """Wait for all processes."""
        self._accelerator.wait_for_everyone()

    def track(self, step: int, values: Mapping[str, float]) -> None:
        """Hand the numbers of a step to the trackers."""
        self._accelerator.log(dict(values), step=step)

    def close(self) -> None:
        """Close the trackers."""
        self._accelerator.end_training()


def join_processes(output: OutputSettings, **options: Any) -> Accelerator:
    """Meet the other processes that the launcher started.

    Args:
        output: Names the trackers.
        **options: Further arguments of `Accelerator`.

    Raises:
        MissingDependencyError: If a tracker is not installed.
    """
    for tracker in output.trackers:
        if importlib.util.find_spec(tracker) is None:
            raise MissingDependencyError(
                f"output.trackers names {tracker}, which is not installed: pip install "
                f"{tracker}, or leave it out."
            )
    return Accelerator(
        log_with=list(output.trackers) or None, project_dir=str(output.folder), **options
    )


def make_optimizer(
    parameters: Iterable[nn.Parameter], settings: OptimizerSettings
) -> torch.optim.AdamW:
    """Make the optimiser that every engine steps with."""
    return torch.optim.AdamW(
        list(parameters),
        lr=settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
    )
