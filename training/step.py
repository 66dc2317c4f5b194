"""One step of a run: gradients from several micro-batches and processes, divided once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from tqdm import tqdm

from lisa.models import LisaModel
from lisa.models.losses import LossSums
from training.config import LossSettings, TrainConfig
from training.engine import Engine
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
        assert output.losses is not None
        return torch.stack([getattr(output.losses, f.name).float() for f in fields(LossSums)])


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
    sums = LossSums(*found)
    tokens, masks, share = counts.tokens, counts.masks, 1.0
    if engine is not None and weights.normalize == "micro_batch":
        tokens, masks = float(sums.text_count.detach()), float(sums.mask_count.detach())
        share = 1 / (accumulation * engine.processes)
    tokens, masks = max(tokens, 1.0), max(masks, 1.0)
    return {
        "text": weights.text * share * sums.text_loss_sum / tokens,
        "bce": weights.bce * share * sums.bce_sum / masks,
        "dice": weights.dice * share * sums.dice_sum / masks,
        "auxiliary": weights.auxiliary * share * sums.auxiliary_sum / masks,
    }


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
