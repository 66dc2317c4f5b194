"""The numbers of the `lisa-nano` recipe, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field


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
    decoder: Stage = field(default_factory=lambda: Stage(1500, 10, 1e-3))
    language: Stage = field(default_factory=lambda: Stage(360, 4, 8e-4, 12))
    joint: Stage = field(default_factory=lambda: Stage(190, 4, 5e-4, 10))
