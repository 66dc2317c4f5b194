"""What learns: a table from names to the parts that are trained fully, through LoRA, or not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import nn

from lisa.errors import ConfigError

Mode = Literal["full", "lora", "frozen"]


@dataclass(frozen=True)
class Rule:
    """Parameters whose name contains a match of `pattern` learn in this mode."""

    pattern: str
    mode: Mode


# What LISA trains beside the layers of the language model.
_BESIDE_THE_LANGUAGE_MODEL = (
    Rule(r"^backbone\.lm_head\.", "full"),
    Rule(r"language_model\..*embed_tokens\.", "full"),
    Rule(r"^segmenter\.mask_decoder\.", "full"),
    Rule(r"^mask_projection\.", "full"),
    Rule(r"^prompt_head\.", "full"),
)

# First match wins; a parameter that no rule names is frozen.
TRAINABLE: dict[str, tuple[Rule, ...]] = {
    # LISA (Lai et al. 2023) and its released training code: LoRA on the queries and values of the
    # language model.
    "lisa": (
        Rule(r"language_model\..*\.(q_proj|v_proj)\.weight$", "lora"),
        *_BESIDE_THE_LANGUAGE_MODEL,
    ),
    # The same with LoRA on all linear layers of the language model, for runs that start from a
    # vision-language model and have further to go.
    "lisa_all_linear": (
        Rule(r"language_model\.layers\..*_proj\.weight$", "lora"),
        *_BESIDE_THE_LANGUAGE_MODEL,
    ),
    # A language model and a vision tower that stay as they are; everything between and behind them
    # learns.
    "nano": (
        Rule(r"language_model\..*\.(q_proj|v_proj)\.weight$", "lora"),
        Rule(r"multi_modal_projector\.", "full"),
        Rule(r"^(segmenter|mask_projection|prompt_head)\.", "full"),
    ),
    "all": (Rule(r"", "full"),),
}


@dataclass(frozen=True)
class TrainablePlan:
    """What one name of the table means for one model.

    Attributes:
        full: Names of the parameters that are trained as they are.
        lora: Names of the modules that get LoRA layers; their own weights are frozen.
        counts: Parameters per mode.
    """

    full: tuple[str, ...]
    lora: tuple[str, ...]
    counts: dict[Mode, int]

    def __str__(self) -> str:
        """Write the counts as a line to print at the start of a run."""
        parts = ", ".join(f"{mode} {count:,}" for mode, count in self.counts.items())
        return f"parameters: {parts} (LoRA on {len(self.lora)} layers)"


def trainable_plan(model: nn.Module, name: str) -> TrainablePlan:
    """Look up which parameters of `model` learn.

    Args:
        model: A LISA model, before LoRA layers are added.
        name: Key of `TRAINABLE`.

    Raises:
        ConfigError: If the table has no such name, or names LoRA layers for which the model has no
            place.
    """
    if name not in TRAINABLE:
        raise ConfigError(
            f"There is no set of trainable parts {name!r}: choose one of {', '.join(TRAINABLE)}."
        )
    full, lora = [], []
    counts: dict[Mode, int] = {"full": 0, "lora": 0, "frozen": 0}
    for parameter_name, mode, size in _modes(model, TRAINABLE[name]):
        counts[mode] += size
        if mode == "full":
            full.append(parameter_name)
        elif mode == "lora":
            lora.append(parameter_name.removesuffix(".weight"))
    if not lora and any(rule.mode == "lora" for rule in TRAINABLE[name]):
        raise ConfigError(
            f"The trainable parts {name!r} put LoRA layers into the language model, and this one "
            "has no layer that takes them: if its weights are packed, load it with "
            "pack_weights=False."
        )
    return TrainablePlan(tuple(full), tuple(lora), counts)


def set_trainable(model: nn.Module, name: str) -> TrainablePlan:
    """Switch gradients on for the fully trained parameters and off for all others.

    Adding LoRA layers to `plan.lora` is up to the caller.

    Raises:
        ConfigError: As `trainable_plan`.
    """
    plan = trainable_plan(model, name)
    learning = set(plan.full)
    for parameter_name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter_name in learning)
    return plan


def _modes(model: nn.Module, rules: tuple[Rule, ...]) -> Iterator[tuple[str, Mode, int]]:
    for name, parameter in model.named_parameters():
        mode: Mode = next((rule.mode for rule in rules if re.search(rule.pattern, name)), "frozen")
        # A weight of four bits is stored two to a byte, and knows its own shape apart.
        shape = getattr(getattr(parameter, "quant_state", None), "shape", parameter.shape)
        yield name, mode, shape.numel()
