"""How fast a training step is and what memory it takes: `python -m eval.speed train`.

Everywhere it measures a small LISA on the CPU, our step and LISA's own in turns. With a GPU and
bitsandbytes it also measures QLoRA of the 7B shape, with random weights.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import accumulate
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from lisa.measurement import Measurement, in_turns, seconds
from lisa.models import LisaModel
from training.adapters import learning_mode, start_learning
from training.benchmark_shapes import CPU, QLORA_7B, Shape, build_model, random_batch
from training.config import (
    DataSettings,
    LearningSettings,
    OptimizerSettings,
    OutputSettings,
    TrainConfig,
)
from training.engines.accelerate_engine import AccelerateEngine
from training.original_step import OriginalSums
from training.step import LossSumsOf, take_step
from training.stream import MicroBatch

WARM_UP = 1
STEPS = 5
_MIB = 2**20
_ADAM_MOMENTS = 2


def measure() -> dict[str, Measurement]:
    """Measure training steps.

    Returns:
        Samples (pictures with their conversations) and tokens (those of the picture included, not
        padding) a second, and the peak memory of weights, moments and step; ratios are to the step
        as LISA's code takes it.
    """
    larger = _larger_shape() if torch.cuda.is_available() else {}
    return {**compare(CPU, WARM_UP, STEPS), **larger}


def compare(shape: Shape, warm_up: int, steps: int) -> dict[str, Measurement]:
    """Measure our step and the original one on the CPU, in turns, so that both see the same noise.

    Args:
        shape: What to train.
        warm_up: Steps of each that do not count.
        steps: Steps of each that do.
    """
    model = build_model(shape, torch.device("cpu"))
    ours = Trained(shape, copy.deepcopy(model), LossSumsOf)
    original = Trained(shape, model, OriginalSums)
    taken, slow = in_turns(
        (lambda: seconds(ours.step), lambda: seconds(original.step)), steps, warm_up
    )
    memory = Measurement.of([ours.peak_bytes() / _MIB], "MiB", [original.peak_bytes() / _MIB])
    return {**ours.rates(taken, slow), "peak_memory": memory}


def measure_apart(shape: Shape, device: str, warm_up: int, steps: int) -> dict[str, Measurement]:
    """Measure our step alone, on any device; arguments as `compare` takes them.

    It runs in a process of its own: accelerate settles on one number type a process.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure_ours, shape, device, warm_up, steps).result()


def _measure_ours(shape: Shape, device: str, warm_up: int, steps: int) -> dict[str, Measurement]:
    ours = Trained(shape, build_model(shape, torch.device(device)), LossSumsOf)
    (taken,) = in_turns([lambda: seconds(ours.step)], steps, warm_up)
    return {**ours.rates(taken), "peak_memory": Measurement.of([ours.peak_bytes() / _MIB], "MiB")}


class Trained:
    """A model that learns from one batch again and again."""

    def __init__(
        self, shape: Shape, model: LisaModel, wrap: Callable[[LisaModel], nn.Module]
    ) -> None:
        """Make a model learn as `lisa train` does, without dropout.

        Args:
            shape: That built the model.
            model: Changed in place.
            wrap: Makes a module of it that turns a batch into the fields of `LossSums`.
        """
        self._config = TrainConfig(
            data=DataSettings(Path()),
            output=OutputSettings(Path()),
            learning=LearningSettings(lora_dropout=0.0),
            optimizer=OptimizerSettings(batch=shape.pictures, accumulation=1),
        )
        # Two models of the same weights get the same LoRA layers.
        torch.manual_seed(0)
        _, learning = start_learning(model, self._config.learning)
        if shape.gradient_checkpointing:
            model.backbone.gradient_checkpointing_enable({"use_reentrant": False})
        learning_mode(model)
        self._batch = random_batch(shape, model.config)
        autocast = "bf16" if shape.sizes.types.backbone == torch.bfloat16 else "no"
        self._model = model
        self._engine = AccelerateEngine(
            wrap(model), learning, self._config.optimizer, autocast, self._config.output
        )
        self._moments = _ADAM_MOMENTS * sum(one.nbytes for one in learning.values())
        self._done = 0

    def step(self) -> dict[str, float]:
        """Take one step; returns its numbers as a run logs them."""
        self._done += 1
        micro = [MicroBatch(self._batch, ())]
        return take_step(self._engine, self._config, micro, self._done - 1)

    def rates(
        self, taken: Sequence[float], baseline: Sequence[float] | None = None
    ) -> dict[str, Measurement]:
        """Tell samples and tokens a second if steps take so many seconds."""

        def rate(amount: float, unit: str) -> Measurement:
            mine = [amount / one for one in taken]
            theirs = None if baseline is None else [amount / one for one in baseline]
            return Measurement.of(mine, unit, theirs, more_is_better=True)

        return {
            "samples": rate(len(self._batch.keys), "samples/s"),
            "tokens": rate(int(self._batch.attention_mask.sum()), "tokens/s"),
        }

    def peak_bytes(self) -> float:
        """Take one step more and return the most memory that weights, moments and step took."""
        if self._engine.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self.step()
            return torch.cuda.max_memory_allocated()
        weights = [*self._model.parameters(), *self._model.buffers()]
        return sum(one.nbytes for one in weights) + self._moments + _allocated(self.step)


def _allocated(run: Callable[[], object]) -> int:
    """Return the most bytes of CPU tensors that were alive at once among those that a call made."""
    # Its library writes lines of no interest to the terminal unless told so before its first use.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    with tempfile.TemporaryDirectory(prefix="lisa-speed-") as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    changes = [one for one in events if one["name"] == "[memory]"]
    alive = accumulate(one["args"]["Bytes"] for one in sorted(changes, key=lambda one: one["ts"]))
    return int(max(alive))


def _larger_shape() -> dict[str, Measurement]:
    """Measure QLoRA of the 7B shape on the GPU; says so where it cannot."""
    if importlib.util.find_spec("bitsandbytes") is None:
        print("The 7B shape is left out: it needs 'lisa-assistant[quant]'.", file=sys.stderr)
        return {}
    try:
        found = measure_apart(QLORA_7B, "cuda", WARM_UP, STEPS)
    except torch.OutOfMemoryError as error:
        print(f"The 7B shape is left out: {error}", file=sys.stderr)
        return {}
    return {f"qlora_7b_{name}": value for name, value in found.items()}
