"""DeepSpeed beneath: ZeRO-2 and ZeRO-3, for models whose optimiser or weights one GPU cannot hold.

ZeRO-2 divides gradients and moments among the processes, ZeRO-3 also the backbone's weights. What
lies outside the backbone stays whole on every process: whether and how often it runs depends on the
masks of a process's own batch, and ZeRO-3 hangs where processes run different layers.

DeepSpeed steps all that learns together. So a part that no gradient reached in a step, over all
processes, still moves by its momentum there, while accelerate leaves it alone.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

from lisa.errors import ConfigError, MissingDependencyError
from training.config import EngineSettings, OptimizerSettings, OutputSettings
from training.engines.contract import Engine, join_processes, make_optimizer
from training.examples import Batch
from training.state import TrainingState, moments_of, restore_moments


class DeepSpeedEngine(Engine):
    """Each process holds a part of the optimiser, and with ZeRO-3 a part of the backbone."""

    def __init__(
        self,
        model: nn.Module,
        backbone: nn.Module,
        learning: Mapping[str, nn.Parameter],
        settings: OptimizerSettings,
        engine: EngineSettings,
        autocast: str,
        output: OutputSettings,
    ) -> None:
        """Put the model where it learns.

        Args:
            model: Takes a batch, returns a tensor to learn from.
            backbone: The part of it that runs the same layers for every batch.
            learning: Parameters that learn, by name; in float32.
            settings: Of the optimiser.
            engine: Which ZeRO.
            autocast: Number type of matrix products: "no" or "bf16".
            output: Says where numbers go.

        Raises:
            ConfigError: If matrix products are in float16.
            MissingDependencyError: If DeepSpeed or a tracker is not installed.
        """
        if importlib.util.find_spec("deepspeed") is None:
            raise MissingDependencyError(
                "engine.kind=deepspeed needs DeepSpeed, which is not installed: pip install "
                "'lisa-assistant[deepspeed]' (Linux only), or set engine.kind=accelerate."
            )
        if autocast == "fp16":
            raise ConfigError(
                "engine.kind=deepspeed computes in bfloat16 or float32, not float16: set "
                "model.dtype=float32, or engine.kind=accelerate."
            )
        on_cpu = next(model.parameters()).device.type == "cpu"
        super().__init__(join_processes(output, cpu=on_cpu), output)
        self._learning = dict(learning)
        self._shapes = {name: one.shape for name, one in learning.items()}
        self._stage = engine.zero_stage
        self._backbone = backbone
        inside = set(backbone.parameters())
        self._outside = [one for one in model.parameters() if one not in inside]
        deepspeed = _import_deepspeed(on_cpu)
        for parameter in model.parameters():
            if parameter.ndim == 0:  # which DeepSpeed cannot send
                parameter.data = parameter.data.reshape(1)
        wrapped: Any = deepspeed.initialize(
            model=model,
            optimizer=make_optimizer(learning.values(), settings),
            config=_config(engine, settings, autocast),
        )
        self._engine = wrapped[0]
        self._zero: Any = self._engine.optimizer
        if self._stage == 3:
            self._keep_whole()
        self._even = torch.zeros(())

    def __call__(self, batch: Batch) -> Tensor:
        """Run the model."""
        # Processes reduce gradients in the order in which they come, so all need the same ones in
        # the same order. Gradients of zero that are made first come last in the backward pass.
        ends = [one.flatten()[:0] for one in self._outside if one.requires_grad]
        self._even = torch.cat(ends).sum() if ends else torch.zeros((), device=self.device)
        result: Tensor = self._engine(batch)
        return result

    @contextmanager
    def micro_batch(self, *, last: bool) -> Iterator[None]:
        """Around the passes of a micro-batch; gradients travel after each, divided already."""
        self._engine.set_gradient_accumulation_boundary(last)
        yield
        if not last:
            self._engine.step()  # DeepSpeed only counts here

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss, which is this process's part of the step's."""
        self._engine.backward((loss + self._even) * self.processes, scale_wrt_gas=False)

    def step(self, learning_rate: float) -> float:
        """Change what learns and forget the gradients; returns their norm before clipping."""
        for group in self._zero.param_groups:
            group["lr"] = learning_rate
        self._engine.step()
        return float(self._engine.get_global_grad_norm())

    def state(self) -> TrainingState:
        """Gather what a run goes on from on the first process, one tensor after the other."""
        from deepspeed.utils import safe_get_full_fp32_param

        trained: dict[str, Tensor] = {}
        for name, parameter in self._learning.items():
            whole = parameter if self._stage == 2 else safe_get_full_fp32_param(parameter)
            if self.process == 0:
                trained[name] = whole.detach().cpu().reshape(self._shapes[name])
        moments: dict[str, Tensor] = {}
        for name, value in moments_of(self._zero.optimizer, self._parts(0)).items():
            kind, part = name.split("/", 1)
            here = value.to(self.device)
            parts = [torch.empty_like(here) for _ in range(self.processes)]
            distributed.gather(here, parts if self.process == 0 else None)
            if self.process == 0:
                group = part.split("/")[1]
                for process, one in enumerate(parts):
                    moments[f"{kind}/{process}/{group}"] = one.cpu()
        return TrainingState(trained, moments)

    def load_moments(self, folder: Path) -> None:
        """Restore this process's part of the optimiser."""
        restore_moments(folder, self._zero.optimizer, self._parts(self.process))

    def _parts(self, process: int) -> dict[str, Tensor]:
        """Name the flat tensors that the optimiser of this process steps, as `PROCESS/GROUP`."""
        flat = (
            self._zero.single_partition_of_fp32_groups
            if self._stage == 2
            else self._zero.fp32_partitioned_groups_flat
        )
        return {f"{process}/{group}": one for group, one in enumerate(flat)}

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Around any other use of the model; ZeRO-3 gathers the backbone on every process."""
        if self._stage == 2:
            yield
            return
        from deepspeed.runtime.zero import GatheredParameters

        self._unhook()
        divided = [one for one in self._backbone.parameters() if not one.ds_persist]  # type: ignore[attr-defined]
        with GatheredParameters(divided):
            yield
        self._hook_backbone()

    def _keep_whole(self) -> None:
        """Take what lies outside the backbone out of ZeRO-3's dividing."""
        self._unhook()
        self._hook_backbone()
        kept = self._zero.persistent_parameters
        known = {id(one) for one in kept}
        for parameter in self._outside:
            parameter.ds_persist = True  # type: ignore[attr-defined]
            if id(parameter) not in known:
                kept.append(parameter)
        kept[0].all_gather(kept)

    def _unhook(self) -> None:
        """Take off the hooks that fetch a layer's weights before it runs."""
        offload = self._zero.parameter_offload
        for hook in [*offload.forward_hooks, *offload.backward_hooks]:
            hook.remove()
        offload.forward_hooks.clear()
        offload.backward_hooks.clear()

    def _hook_backbone(self) -> None:
        self._zero.parameter_offload._register_deepspeed_module(self._backbone)


def _config(engine: EngineSettings, settings: OptimizerSettings, autocast: str) -> dict[str, Any]:
    """Write DeepSpeed's configuration; gradients are summed, reduced and clipped in float32."""
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": settings.batch,
        "gradient_accumulation_steps": settings.accumulation,
        "gradient_clipping": settings.clip,
        # DeepSpeed's own linear layer, which it would put in place of torch's, rounds otherwise.
        "zero_optimization": {"stage": engine.zero_stage, "memory_efficient_linear": False},
        "steps_per_print": None,
    }
    if autocast != "no":
        config["torch_autocast"] = {
            "enabled": True,
            "dtype": "bfloat16",
            "lower_precision_safe_modules": [],
        }
    return config


def _import_deepspeed(on_cpu: bool) -> Any:
    """Import DeepSpeed for this process's device, and give a lone process a group of its own."""
    if on_cpu:
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    import deepspeed

    deepspeed.logger.setLevel("WARNING")
    # On CPUs it would first compile a transport of its own: minutes, a C++ compiler, and a lock
    # that a killed run leaves behind. Gloo is there already.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    if not distributed.is_initialized():
        os.environ.setdefault("LOCAL_RANK", "0")
        store = distributed.HashStore()  # type: ignore[attr-defined]
        backend = "gloo" if on_cpu else "nccl"
        distributed.init_process_group(backend, store=store, rank=0, world_size=1)
    deepspeed.init_distributed()
    return deepspeed
