"""Everything that decides how relations between named things are learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lisa.errors import ConfigError
from lisa.settings import build_settings, override, read_yaml
from training.config import check_optimizer

SEED_STRIDE = 1_000_003
"""Between the random numbers of two seeds of a run."""


@dataclass(frozen=True)
class PsgSettings:
    """Where PSG lies; see `lisa.data.readers.psg`.

    Attributes:
        annotations: The file `psg.json`.
        coco: The folder of COCO's pictures and label pictures.
        split: What is learnt from.
    """

    annotations: Path
    coco: Path
    split: str = "train"


@dataclass(frozen=True)
class NoiseSettings:
    """How far the true segments are from those that a panoptic model finds.

    Attributes:
        copies: How many times the features of a picture are worked out, each time with other
            noise; the first copy has none.
        edge: Most cells of the feature grid by which a mask grows or shrinks.
        shift: Most share of its box's sides by which a mask is moved.
        classes: Share of the segments that are given a class at random.
    """

    copies: int = 4
    edge: int = 3
    shift: float = 0.1
    classes: float = 0.05

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.copies < 1 or self.edge < 0 or not 0 <= self.shift <= 1:
            raise ConfigError("copies must be 1 or more, edge 0 or more, shift from 0 to 1.")
        if not 0 <= self.classes <= 1:
            raise ConfigError("classes must be from 0 to 1.")


@dataclass(frozen=True)
class SizeSettings:
    """Sizes of the relation transformer; see `lisa.relations.RelationConfig`.

    Attributes:
        hidden_size: Its width.
        num_heads: Attention heads.
        intermediate_size: Hidden width of its MLPs.
        num_layers: Its blocks.
        class_size: Width in which a predicate compares subject and object; GRNet has 2048.
        start: Hub id or folder of a BERT of these sizes, whose first blocks it starts from; null
            for fresh weights.
    """

    hidden_size: int = 768
    num_heads: int = 12
    intermediate_size: int = 3072
    num_layers: int = 2
    class_size: int = 512
    start: str | None = None


@dataclass(frozen=True)
class OptimizerSettings:
    """How it learns: AdamW, with a linear warm-up and a cosine.

    Attributes:
        steps: Optimiser steps.
        batch: Pictures of a step.
        learning_rate: Peak.
        warmup: Steps of linear warm-up.
        clip: Gradients are scaled down to at most this norm.
        save_every: Steps between saved states.
    """

    steps: int = 40_000
    batch: int = 16
    learning_rate: float = 1e-4
    warmup: int = 500
    clip: float = 1.0
    save_every: int = 1000

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        counts = {"steps": self.steps, "batch": self.batch, "save_every": self.save_every}
        check_optimizer(counts, self.learning_rate, self.warmup, self.clip)


@dataclass(frozen=True)
class TeacherSettings:
    """What the model's own average teaches it: relations that nobody wrote down.

    Attributes:
        decay: Share of the average that stays at each step, once many are done.
        weight: Most that a label of the teacher's counts; what is annotated counts 1. 0 for none.
        begins: Steps without labels of the teacher's, which knows nothing at first.
        rises: Steps in which their weight rises from there.
    """

    decay: float = 0.999
    weight: float = 0.5
    begins: int = 2000
    rises: int = 4000

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not 0 <= self.decay < 1 or not 0 <= self.weight <= 1:
            raise ConfigError("decay must be from 0 to below 1, weight from 0 to 1.")
        if self.begins < 0 or self.rises < 0:
            raise ConfigError("begins and rises must be 0 or more.")


@dataclass(frozen=True)
class RelationRecipe:
    """A run.

    Attributes:
        psg: The data.
        panoptic: Hub id or folder of the panoptic model, which stays as it is.
        output: Folder of the run: features, log, checkpoints, and the trained model in `model`.
        noise: On the true segments.
        sizes: Of the model.
        optimizer: How it learns.
        teacher: Its own average.
        most_segments: Of a picture with more, so many are drawn at each step.
        seed: Of fresh weights, noise, order and dropout.
        device: "auto", "cpu", "cuda", "mps".
    """

    psg: PsgSettings
    panoptic: str
    output: Path
    noise: NoiseSettings = field(default_factory=NoiseSettings)
    sizes: SizeSettings = field(default_factory=SizeSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    most_segments: int = 30
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.most_segments < 2:
            raise ConfigError("most_segments must be 2 or more.")


def read_recipe(path: Path, words: Sequence[str] = ()) -> RelationRecipe:
    """Read a recipe with `name=value` words applied; paths are relative to where we are.

    Raises:
        ConfigError: Naming every key that is unknown or missing and every value of a wrong type.
    """
    return build_settings(RelationRecipe, override(read_yaml(path), words), str(path))
