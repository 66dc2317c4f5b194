"""Makes those parts of a model learn that the table names, LoRA layers by peft included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from lisa.models import LisaModel
from lisa.models.trainable import TrainablePlan, set_trainable
from training.config import LearningSettings

_ADAPTER = "default"


def start_learning(
    model: LisaModel, settings: LearningSettings
) -> tuple[TrainablePlan, dict[str, nn.Parameter]]:
    """Add LoRA layers, and switch gradients on for what learns and off for everything else.

    What learns is kept in float32 whatever the model's number type: in bfloat16 most steps of a
    small learning rate would round to nothing.

    Args:
        model: Changed in place.
        settings: What learns.

    Returns:
        The plan that the table gives for this model, and everything that learns by its name.

    Raises:
        ConfigError: If the table has no such entry, or the model no place for its LoRA layers.
    """
    plan = set_trainable(model, settings.parts)
    if plan.lora:
        config = LoraConfig(
            r=settings.lora_rank,
            lora_alpha=cast(int, settings.lora_alpha),
            lora_dropout=settings.lora_dropout,
            # Whole names: a bare "q_proj" would also hit the vision tower's layers.
            target_modules=list(plan.lora),
        )
        inject_adapter_in_model(config, model, adapter_name=_ADAPTER)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in plan.full or ".lora_" in name)
    learning = {name: one for name, one in model.named_parameters() if one.requires_grad}
    for parameter in learning.values():
        parameter.data = parameter.data.float()
    return plan, learning


def learning_mode(model: nn.Module) -> None:
    """Switch dropout on where something learns; parts in which nothing does stay as in use.

    A frozen trunk must not count the pictures of a batch into its batch normalisation.
    """
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(one.requires_grad for one in parameters):
            module.eval()


def fold_adapters(model: LisaModel, dtypes: Mapping[str, torch.dtype]) -> None:
    """Add every LoRA layer's product to the weight beneath it and take the layers out, in place.

    Args:
        model: With LoRA layers that `start_learning` added.
        dtypes: Number type of each parameter before that, by name; they are brought back.
    """
    layers = [(name, one) for name, one in model.named_modules() if isinstance(one, LoraLayer)]
    for name, layer in layers:
        cast(Any, layer).merge(safe_merge=True)
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, layer.get_base_layer())
    for name, parameter in model.named_parameters():
        parameter.data = parameter.data.to(dtypes[name])


def number_types(model: nn.Module) -> dict[str, torch.dtype]:
    """Return the number type of every parameter."""
    return {name: parameter.dtype for name, parameter in model.named_parameters()}


def describe(plan: TrainablePlan, learning: Mapping[str, Tensor]) -> str:
    """Write the table of what learns, with counts, to print at the start of a run."""
    groups: dict[str, int] = {}
    for name, parameter in learning.items():
        kind = "LoRA" if ".lora_" in name else "full"
        part = ".".join(name.split(".")[:2])
        groups[f"{kind:4}  {part}"] = groups.get(f"{kind:4}  {part}", 0) + parameter.numel()
    lines = [f"  {count:>13,}  {group}" for group, count in groups.items()]
    total = sum(groups.values())
    frozen = sum(plan.counts.values()) - plan.counts["full"]
    return "\n".join(["learns:", *lines, f"  {total:>13,}  in all, beside {frozen:,} frozen"])
