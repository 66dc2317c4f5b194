"""What a run starts from: the one place that turns `model` of a configuration into a model."""

from __future__ import annotations

from lisa.pipeline import LisaPipeline
from training.config import TrainConfig


def open_start(config: TrainConfig) -> LisaPipeline:
    """Load the model that a run starts from.

    Raises:
        CheckpointError: If its weights cannot be found, read, or do not fit.
    """
    start = config.model
    return LisaPipeline.from_pretrained(
        start.start,
        device=config.device,
        dtype=start.dtype,
        segmenter_dtype=None if start.dtype == "auto" else start.dtype,
        revision=start.revision,
        vision_tower=start.vision_tower,
        template=start.template,
        quantize=start.quantize,
    )
