"""Everything that decides a training run, as one tree of frozen dataclasses.

The tree is the schema of the YAML files in `training/configs` and of `key=value` words behind
`lisa train`; the resolved one is written beside every checkpoint. Defaults are LISA's published
recipe (Lai et al. 2023, section 4.1, and the released training code).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from lisa.errors import ConfigError
from lisa.settings import build_settings, override, read_yaml
from training.samples import SampleSettings

Tracker: TypeAlias = Literal["tensorboard", "wandb", "trackio"]


@dataclass(frozen=True)
class ModelSettings:
    """Where a run starts from.

    Attributes:
        start: `lisa-nano`, a folder or a hub id; a published LISA, one of ours, or a merged run.
        revision: Of a hub id.
        vision_tower: Folder or hub id of the CLIP that published layouts leave out.
        template: Conversation template instead of the checkpoint's own.
        dtype: Number type of what does not learn; what learns is kept in float32.
        quantize: Bits of the language model of a published layout (QLoRA); null for neither.
        gradient_checkpointing: Compute activations again in the backward pass instead of keeping
            them.
    """

    start: str = "lisa-nano"
    revision: str | None = None
    vision_tower: str | None = None
    template: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    quantize: Literal["4bit", "8bit"] | None = None
    gradient_checkpointing: bool = False


@dataclass(frozen=True)
class LearningSettings:
    """What learns.

    Attributes:
        parts: Key of `lisa.models.trainable.TRAINABLE`.
        lora_rank: Of the LoRA layers.
        lora_alpha: Their scale times the rank.
        lora_dropout: On their input.
    """

    parts: str = "lisa"
    lora_rank: int = 8
    lora_alpha: float = 16.0
    lora_dropout: float = 0.05


@dataclass(frozen=True)
class DataSettings:
    """What is learnt from.

    Attributes:
        registry: File that names the data sets (`lisa.data.registry`), or one data set.
        samples: How conversations are drawn from records.
        max_length: Most positions of a conversation, image tokens included.
        epoch: Samples of an epoch; null for as many as there are records.
        workers: Processes that prepare samples beside the training one.
        damaged_share: The run stops when more than this share of its records cannot be used.
    """

    registry: Path
    samples: SampleSettings = field(default_factory=SampleSettings)
    max_length: int = 512
    epoch: int | None = None
    workers: int = 2
    damaged_share: float = 0.01


@dataclass(frozen=True)
class OptimizerSettings:
    """How it learns: AdamW.

    Attributes:
        steps: Optimiser steps.
        batch: Pictures of a micro-batch on each process.
        accumulation: Micro-batches of a step.
        learning_rate: Peak.
        warmup: Steps of linear warm-up.
        schedule: How the learning rate falls from there to 0.
        betas: Decay of the moments.
        weight_decay: Decoupled.
        clip: Gradients are scaled down to at most this norm.
    """

    steps: int = 5000
    batch: int = 2
    accumulation: int = 10
    learning_rate: float = 3e-4
    warmup: int = 100
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    clip: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        counts = {"steps": self.steps, "batch": self.batch, "accumulation": self.accumulation}
        low = [name for name, value in counts.items() if value < 1]
        if low:
            raise ConfigError(f"{', '.join(low)} must be 1 or more.")
        if self.learning_rate <= 0 or self.warmup < 0 or self.clip <= 0:
            raise ConfigError("learning_rate and clip must be above 0, warmup not below.")


@dataclass(frozen=True)
class LossSettings:
    """What is minimised.

    Attributes:
        text: Weight of the cross entropy.
        bce: Weight of the masks' binary cross entropy.
        dice: Weight of the masks' Dice loss.
        auxiliary: Weight of the prompt head's own map, where it has one.
        normalize: "step" divides by the supervised tokens and masks of the whole step, over all
            micro-batches and processes; "micro_batch" divides each micro-batch by its own and
            averages, as LISA does, so that samples in small ones count more.
    """

    text: float = 1.0
    bce: float = 2.0
    dice: float = 0.5
    auxiliary: float = 0.0
    normalize: Literal["step", "micro_batch"] = "step"


@dataclass(frozen=True)
class OutputSettings:
    """What a run leaves behind.

    Attributes:
        folder: Of the run: logs, checkpoints, resolved configuration.
        save_every: Steps between checkpoints.
        keep: How many of the newest checkpoints stay.
        trackers: Where numbers go besides `log.jsonl` and the progress bar.
    """

    folder: Path
    save_every: int = 100
    keep: int = 2
    trackers: tuple[Tracker, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        if self.save_every < 1 or self.keep < 1:
            raise ConfigError("save_every and keep must be 1 or more.")


@dataclass(frozen=True)
class TrainConfig:
    """A training run; see the parts.

    Attributes:
        model: Where it starts from.
        data: What is learnt from.
        output: What it leaves behind.
        learning: What learns.
        optimizer: How it learns.
        loss: What is minimised.
        seed: Of fresh weights, samples, order and dropout.
        device: "auto", "cpu", "cuda", "mps".
    """

    data: DataSettings
    output: OutputSettings
    model: ModelSettings = field(default_factory=ModelSettings)
    learning: LearningSettings = field(default_factory=LearningSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    seed: int = 0
    device: str = "auto"


def read_config(path: Path, words: Sequence[str] = ()) -> TrainConfig:
    """Read a configuration file with `key=value` words applied.

    Args:
        path: Of the YAML file; the registry it names is relative to it.
        words: Such as `optimizer.steps=20`; a registry named here is relative to where we are.

    Raises:
        ConfigError: Naming every key that is unknown or missing and every value of a wrong type.
    """
    written = build_settings(TrainConfig, override(read_yaml(path), words), str(path))
    if any(word.startswith("data.registry=") for word in words):
        return written
    registry = path.parent / written.data.registry.expanduser()
    return replace(written, data=replace(written.data, registry=registry))
