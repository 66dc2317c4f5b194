"""What decides how `lisa-nano` is trained; its numbers are in `training/configs/nano.yaml`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lisa.settings import build_settings, override, read_yaml

RECIPE = Path(__file__).parents[1] / "configs" / "nano.yaml"


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
    warmup: int


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
        captions: Sentences about a scene that are asked for beside them.
        dialogues: Dialogues with tools about a scene beside them.
        decoder: Masks from names, clicks and boxes; the language model stays as it is.
        language: Answers; the mask decoder stays as it is.
        joint: Both together, on the states that the trained language model has.
        relation_scenes: How many scenes of the corpus the relations are learnt from.
        nested_scenes: Further scenes for them, each with one thing inside another.
        relations: How things relate, beside the finished model.
        tagger: Tags of scenes, beside the finished model.
    """

    seed: int
    scenes: int
    scene_seed: int
    lora_rank: int
    lora_alpha: int
    questions: int
    captions: int
    dialogues: int
    decoder: Stage
    language: Stage
    joint: Stage
    relation_scenes: int
    nested_scenes: int
    relations: Stage
    tagger: Stage


def read_recipe(words: Sequence[str] = (), path: Path = RECIPE) -> NanoRecipe:
    """Read a recipe with `name=value` words applied.

    Raises:
        ConfigError: Naming every number that is unknown, missing or of a wrong type.
    """
    return build_settings(NanoRecipe, override(read_yaml(path), words), str(path))
