"""Everything that decides a training run, as one tree of frozen dataclasses.

The tree is the schema of the YAML files in `training/configs` and of `key=value` words behind
`lisa train`; the resolved one is written beside every checkpoint. Defaults are LISA's published
recipe (Lai et al. 2023, section 4.1, and the released training code).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        start: `lisa-nano`, a folder or a hub id; a published LISA, one of ours, a merged run, or,
            with `segmenter`, a vision-language model that knows nothing of masks.
        segmenter: SAM's weights in Meta's layout, a file or a folder with one such file; for a
            start from a vision-language model.
        image_tokens: Most image tokens of a picture; for a start from a vision-language model in
            which they vary with the picture's size.
        revision: Of a hub id.
        vision_tower: Folder or hub id of the CLIP that published layouts leave out.
        template: Conversation template instead of the checkpoint's own.
        dtype: Number type of what does not learn; what learns is kept in float32.
        quantize: Bits of the language model of a published layout (QLoRA); null for neither.
        gradient_checkpointing: Compute activations again in the backward pass instead of keeping
            them.
    """

    start: str = "lisa-nano"
    segmenter: Path | None = None
    image_tokens: int | None = None
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
class ValidationSettings:
    """What is asked while learning, and how often.

    Attributes:
        registry: File that names the data sets to ask about: those under `validation`, or, if it
            has none there, all; or one data set. Null takes `validation` of `data.registry`, and
            nothing is asked if there is none.
        every: Steps from one validation to the next; there is also one before the first step and
            one after the last. 0 for none at all.
        records: At most so many records are asked about, evenly over all; always the same ones.
        pictures: How many of them are drawn with their answers.
    """

    registry: Path | None = None
    every: int = 500
    records: int = 200
    pictures: int = 8

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        if self.records < 1 or self.every < 0 or self.pictures < 0:
            raise ConfigError("records must be 1 or more, every and pictures 0 or more.")


def check_optimizer(
    counts: Mapping[str, int], learning_rate: float, warmup: int, clip: float
) -> None:
    """Refuse numbers with which no optimiser can run.

    Args:
        counts: What must be 1 or more, by name.
        learning_rate: Peak.
        warmup: Steps.
        clip: Norm of gradients.

    Raises:
        ConfigError: Naming what is too low.
    """
    low = [name for name, value in counts.items() if value < 1]
    if low:
        raise ConfigError(f"{', '.join(low)} must be 1 or more.")
    if learning_rate <= 0 or warmup < 0 or clip <= 0:
        raise ConfigError("learning_rate and clip must be above 0, warmup not below.")


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
        check_optimizer(counts, self.learning_rate, self.warmup, self.clip)


@dataclass(frozen=True)
class EngineSettings:
    """What runs passes and steps; it changes what a process holds, not what is learnt.

    Attributes:
        kind: "accelerate" (one process, or DDP: each holds everything) or "deepspeed" (ZeRO).
        zero_stage: What DeepSpeed divides among the processes: 2 for gradients and the optimiser's
            moments, 3 for the backbone's weights too.
    """

    kind: Literal["accelerate", "deepspeed"] = "accelerate"
    zero_stage: Literal[2, 3] = 2


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
        engine: What runs it.
        loss: What is minimised.
        validation: What is asked while learning.
        seed: Of fresh weights, samples, order and dropout.
        device: "auto", "cpu", "cuda", "mps".
    """

    data: DataSettings
    output: OutputSettings
    model: ModelSettings = field(default_factory=ModelSettings)
    learning: LearningSettings = field(default_factory=LearningSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    seed: int = 0
    device: str = "auto"


def read_config(path: Path, words: Sequence[str] = ()) -> TrainConfig:
    """Read a configuration file with `key=value` words applied.

    Args:
        path: Of the YAML file; the registries it names are relative to it.
        words: Such as `optimizer.steps=20`; a registry named here is relative to where we are.

    Returns:
        The configuration; its registries have absolute paths.

    Raises:
        ConfigError: Naming every key that is unknown or missing and every value of a wrong type.
    """
    config = build_settings(TrainConfig, override(read_yaml(path), words), str(path))
    data = replace(config.data, registry=_locate(config.data.registry, "data", path, words))
    asked = config.validation.registry
    if asked is not None:
        asked = _locate(asked, "validation", path, words)
    return replace(config, data=data, validation=replace(config.validation, registry=asked))


def _locate(registry: Path, section: str, path: Path, words: Sequence[str]) -> Path:
    """Return where a registry lies, also for who reads the run's own configuration elsewhere."""
    from_here = any(word.startswith(f"{section}.registry=") for word in words)
    place = Path() if from_here else path.parent
    return (place / registry.expanduser()).absolute()
