"""One step of a run: gradients from several micro-batches and processes, divided once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn
from tqdm import tqdm

from lisa.models import LisaModel, LisaOutput
from lisa.models.losses import LossSums, LossWeights, lisa_loss
from training.config import LossSettings, TrainConfig
from training.engines.contract import Engine
from training.examples import Batch
from training.schedule import learning_rate_share
from training.stream import MicroBatch

_SEED_STRIDE = 1_000_003


class LossSumsOf(nn.Module):
    """A LISA model whose forward takes a batch and returns the fields of `LossSums` as (6,)."""

    def __init__(self, model: LisaModel) -> None:
        """Wrap a model."""
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> Tensor:
        """Run the conversations of a batch, teacher forced."""
        device = self.model.segmenter_device
        output = self.model(
            batch.input_ids.to(device),
            batch.attention_mask.to(device),
            batch.labels.to(device),
            images=self.model.encode_images(
                batch.images.pixel_values.to(device),
                batch.images.sam_pixel_values.to(device),
                original_sizes=batch.images.original_sizes,
                resized_sizes=batch.images.resized_sizes,
                backbone_inputs=batch.images.backbone_inputs,
            ),
            image_index=batch.image_index.to(device),
            gt_masks=[masks.to(device) for masks in batch.gt_masks],
            supervised_logits_only=True,
        )
        return stack_sums(output)


def stack_sums(output: LisaOutput) -> Tensor:
    """Return the fields of the output's `LossSums` as (6,): many processes add one tensor."""
    return torch.stack([getattr(output.losses, one.name).float() for one in fields(LossSums)])


@dataclass(frozen=True)
class Counts:
    """What a step learns from, over all micro-batches and processes."""

    tokens: float
    masks: float
    pictures: float
    skipped: float
    shortened: float


def take_step(
    engine: Engine, config: TrainConfig, micro: Sequence[MicroBatch], step: int
) -> dict[str, float]:
    """Learn from the micro-batches of one step.

    Args:
        engine: With the model that learns.
        config: Of the run.
        micro: `optimizer.accumulation` of them, this process's part of the step.
        step: From 0.

    Returns:
        The numbers of the step, over all processes.
    """
    began = time.perf_counter()
    settings = config.optimizer
    counts = _count(engine, micro)
    sums = [0.0] * len(fields(LossSums))
    for number, one in enumerate(micro):
        seed = (step * settings.accumulation + number) * engine.processes + engine.process
        torch.manual_seed(config.seed * _SEED_STRIDE + seed)
        with engine.micro_batch(last=number + 1 == len(micro)):
            found = engine(one.batch)
            parts = _parts(found, config.loss, counts, engine, settings.accumulation)
            engine.backward(torch.stack(list(parts.values())).sum())
        sums = [a + float(b) for a, b in zip(sums, found.detach().tolist(), strict=True)]
    rate = settings.learning_rate * learning_rate_share(
        step, settings.steps, settings.warmup, settings.schedule
    )
    norm = engine.step(rate)
    total = torch.tensor(engine.sum(sums))
    shown = _parts(total, config.loss, counts, None, 1)
    seconds = time.perf_counter() - began
    return {
        "loss": float(sum(shown.values())),
        **{name: float(value) for name, value in shown.items()},
        "learning_rate": rate,
        "norm": norm,
        "skipped": counts.skipped,
        "shortened": counts.shortened,
        "samples_per_second": counts.pictures / seconds,
        "tokens_per_second": counts.tokens / seconds,
    }


def _parts(
    found: Tensor, weights: LossSettings, counts: Counts, engine: Engine | None, accumulation: int
) -> dict[str, Tensor]:
    """Divide sums as the configuration asks; the parts of all micro-batches add up to the step's.

    Args:
        found: (6,) the fields of `LossSums`.
        weights: Of the parts.
        counts: Of the whole step.
        engine: Whose micro-batch this is; None for the sums of a whole step.
        accumulation: Micro-batches of a step on each process.
    """
    sums, share = LossSums(*found), 1.0
    if engine is not None and weights.normalize == "micro_batch":
        share = 1 / (accumulation * engine.processes)
    else:
        tokens, masks = found.new_tensor(counts.tokens), found.new_tensor(counts.masks)
        sums = replace(sums, text_count=tokens, mask_count=masks)
    names = [f.name for f in fields(LossWeights)]
    loss = lisa_loss(sums, LossWeights(**{name: getattr(weights, name) for name in names}))
    return {name: share * getattr(loss, name) for name in names}


def _count(engine: Engine, micro: Sequence[MicroBatch]) -> Counts:
    for one in micro:
        for skipped in one.skipped:
            tqdm.write(f"skipped: {skipped.place}: {skipped.message}")
    here = [
        sum(one.batch.text_count for one in micro),
        sum(one.batch.mask_count for one in micro),
        sum(len(one.batch.keys) for one in micro),
        sum(len(one.skipped) for one in micro),
        sum(one.batch.shortened for one in micro),
    ]
    return Counts(*engine.sum([float(one) for one in here]))
