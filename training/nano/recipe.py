"""The numbers of the `lisa-nano` recipe, in one place."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, Self

from lisa.errors import ConfigError


@dataclass(frozen=True)
class Stage:
    """One run of the optimiser.

    Attributes:
        steps: Optimiser steps.
        scenes: Scenes a step.
        learning_rate: Peak; reached after `warmup` steps, then a cosine down to 2 % of it.
        warmup: Steps of linear warm-up.
    """

    steps: int
    scenes: int
    learning_rate: float
    warmup: int = 50


@dataclass(frozen=True)
class NanoRecipe:
    """How `lisa-nano` is trained.

    Attributes:
        seed: Of everything: scenes, questions, order, fresh weights.
        scenes: How many scenes the corpus holds; scene i has seed `scene_seed + i`.
        scene_seed: Far from the seeds of the evaluation scenes, which start at 900,000,000.
        lora_rank: Rank of the LoRA layers on all linear layers of the language model.
        lora_alpha: Their scale times the rank.
        questions: Questions a scene in the language stages.
        decoder: Masks from names, clicks and boxes; the language model stays as it is.
        language: Answers; the mask decoder stays as it is.
        joint: Both together, on the states that the trained language model has.
    """

    seed: int = 20261121
    scenes: int = 4000
    scene_seed: int = 1_000_000
    lora_rank: int = 16
    lora_alpha: int = 32
    questions: int = 10
    decoder: Stage = field(default_factory=lambda: Stage(700, 10, 1e-3))
    language: Stage = field(default_factory=lambda: Stage(120, 4, 8e-4, 12))
    joint: Stage = field(default_factory=lambda: Stage(130, 4, 5e-4, 10))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    def with_overrides(self, overrides: list[str]) -> Self:
        """Apply `name=value` and `stage.name=value` strings.

        Raises:
            ConfigError: If a name is unknown or a value is not a finite number.
        """
        recipe = self
        for item in overrides:
            name, _, value = item.partition("=")
            recipe = _set(recipe, name.split("."), value, item)
        return recipe


def _set(target: Any, path: list[str], value: str, item: str) -> Any:
    known = [f.name for f in fields(target)] if is_dataclass(target) else []
    if not known:
        raise ConfigError(f"{item!r} has a dot behind a number: write the number's name alone.")
    if path[0] not in known:
        raise ConfigError(
            f"{item!r} names no number of the recipe: choose from {', '.join(known)}."
        )
    current = getattr(target, path[0])
    if len(path) > 1:
        return replace(target, **{path[0]: _set(current, path[1:], value, item)})
    try:
        return replace(target, **{path[0]: type(current)(float(value))})
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{item!r} needs a number after the equals sign.") from error
