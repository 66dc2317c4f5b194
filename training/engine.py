"""Runs a model's backward passes and steps on one process or many; accelerate is beneath.

The caller divides the loss so that the sum of all gradients, over micro-batches and processes, is
the gradient of the step. DDP averages over processes, so the engine multiplies by their number.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor, nn

from lisa.errors import MissingDependencyError
from training.config import OptimizerSettings, OutputSettings
from training.examples import Batch
from training.state import load_state, save_state


class Engine:
    """A model that learns, and its optimiser.

    Attributes:
        processes: How many take part.
        process: Which of them this is, from 0.
        device: Of the model.
    """

    def __init__(
        self,
        model: nn.Module,
        learning: Mapping[str, nn.Parameter],
        settings: OptimizerSettings,
        autocast: str,
        output: OutputSettings,
    ) -> None:
        """Put the model where it learns.

        Args:
            model: Takes a batch, returns a tensor to learn from.
            learning: Parameters that learn, by name.
            settings: Of the optimiser.
            autocast: Number type of matrix products: "no", "bf16" or "fp16".
            output: Says where numbers go.

        Raises:
            MissingDependencyError: If a tracker is not installed.
        """
        for tracker in output.trackers:
            if importlib.util.find_spec(tracker) is None:
                raise MissingDependencyError(
                    f"output.trackers names {tracker}, which is not installed: pip install "
                    f"{tracker}, or leave it out."
                )
        # A step without a mask leaves the mask decoder without a gradient, and the head that
        # estimates IoU never gets one.
        unused = DistributedDataParallelKwargs(find_unused_parameters=True)
        self._accelerator = Accelerator(
            mixed_precision=autocast,
            kwargs_handlers=[unused],
            cpu=_on_cpu(model),
            log_with=list(output.trackers) or None,
            project_dir=str(output.folder),
        )
        if output.trackers:
            self._accelerator.init_trackers(output.folder.name)
        self.processes = self._accelerator.num_processes
        self.process = self._accelerator.process_index
        self.device = self._accelerator.device
        self._learning = dict(learning)
        self._clip = settings.clip
        optimizer = torch.optim.AdamW(
            list(learning.values()),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
        )
        prepared: Any = self._accelerator.prepare(model, optimizer)
        self._model, self._optimizer = prepared

    def __call__(self, batch: Batch) -> Tensor:
        """Run the model."""
        result: Tensor = self._model(batch)
        return result

    @contextmanager
    def micro_batch(self, *, last: bool) -> Iterator[None]:
        """Around the passes of a micro-batch; only the last one's gradients travel."""
        if last:
            yield
            return
        with self._accelerator.no_sync(self._model):
            yield

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss, which is this process's part of the step's."""
        self._accelerator.backward(loss * self.processes)

    def step(self, learning_rate: float) -> float:
        """Change what learns and forget the gradients; returns their norm before clipping."""
        norm = self._accelerator.clip_grad_norm_(list(self._learning.values()), self._clip)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return float(norm)

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

    def save(self, folder: Path, metadata: Mapping[str, str]) -> None:
        """Write what learns and the optimiser's moments into a folder."""
        save_state(folder, self._learning, self._optimizer.optimizer, metadata)

    def load(self, folder: Path) -> dict[str, str]:
        """Restore them in place; returns the metadata."""
        return load_state(folder, self._learning, self._optimizer.optimizer)

    def track(self, step: int, values: Mapping[str, float]) -> None:
        """Hand the numbers of a step to the trackers."""
        self._accelerator.log(dict(values), step=step)

    def close(self) -> None:
        """Close the trackers."""
        self._accelerator.end_training()


def _on_cpu(model: nn.Module) -> bool:
    return next(model.parameters()).device.type == "cpu"
