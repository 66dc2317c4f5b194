"""The usual engine: accelerate, which is plain torch on one process and DDP on several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate import DistributedDataParallelKwargs
from torch import Tensor, nn

from training.config import OptimizerSettings, OutputSettings
from training.engines.contract import Engine, join_processes, make_optimizer
from training.examples import Batch
from training.state import TrainingState, moments_of, restore_moments


class AccelerateEngine(Engine):
    """Each process holds the whole model and the whole optimiser."""

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
        # A step without a mask leaves the mask decoder without a gradient, and the head that
        # estimates IoU never gets one.
        unused = DistributedDataParallelKwargs(find_unused_parameters=True)
        accelerator = join_processes(
            output,
            mixed_precision=autocast,
            kwargs_handlers=[unused],
            cpu=next(model.parameters()).device.type == "cpu",
        )
        super().__init__(accelerator, output)
        self._learning = dict(learning)
        self._clip = settings.clip
        optimizer = make_optimizer(learning.values(), settings)
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

    def state(self) -> TrainingState:
        """Return what a run goes on from, on the first process; each one holds all of it."""
        if self.process:
            return TrainingState({}, {})
        moments = moments_of(self._optimizer.optimizer, self._learning)
        return TrainingState(self._learning, moments)

    def load_moments(self, folder: Path) -> None:
        """Restore the optimiser's part, parameter by parameter."""
        restore_moments(folder, self._optimizer.optimizer, self._learning)
