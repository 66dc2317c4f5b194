"""What a run starts from: the one place that turns `model` of a configuration into a model."""

from __future__ import annotations

from pathlib import Path

from lisa.assemble import assemble, is_base_model
from lisa.devices import choose_placement
from lisa.errors import ConfigError
from lisa.hub import resolve
from lisa.pipeline import LisaPipeline
from training.config import ModelSettings, TrainConfig

_ONLY_FOR_BASE_MODELS = ("segmenter", "image_tokens")
_NOT_FOR_BASE_MODELS = ("vision_tower", "quantize")


def open_start(config: TrainConfig) -> LisaPipeline:
    """Load the model that a run starts from.

    Raises:
        CheckpointError: If its weights cannot be found, read, or do not fit.
        ConfigError: If a setting is missing or has no use for this model.
    """
    start = config.model
    folder = resolve(start.start, start.revision)
    if is_base_model(folder):
        return _from_base_model(config, folder)
    _refuse(start, _ONLY_FOR_BASE_MODELS, "is a LISA already")
    return LisaPipeline.from_pretrained(
        start.start,
        device=config.device,
        dtype=start.dtype,
        segmenter_dtype=None if start.dtype == "auto" else start.dtype,
        revision=start.revision,
        vision_tower=start.vision_tower,
        template=start.template,
        quantize=start.quantize,
        # Packed weights can neither learn nor be saved.
        pack_weights=False,
    )


def _from_base_model(config: TrainConfig, folder: Path) -> LisaPipeline:
    start = config.model
    _refuse(start, _NOT_FOR_BASE_MODELS, "is a vision-language model without masks")
    if start.segmenter is None:
        raise ConfigError(
            f"{start.start} is a vision-language model that knows nothing of masks: set "
            "model.segmenter to SAM's weights, such as sam_vit_h_4b8939.pth."
        )
    model, processor = assemble(
        folder,
        start.segmenter,
        choose_placement(config.device, start.dtype),
        seed=config.seed,
        template=start.template,
        image_tokens=start.image_tokens,
    )
    return LisaPipeline(model, processor)


def _refuse(start: ModelSettings, names: tuple[str, ...], reason: str) -> None:
    given = [f"model.{name}" for name in names if getattr(start, name) is not None]
    if given:
        raise ConfigError(
            f"{start.start} {reason}, where {' and '.join(given)} has no use: leave it out."
        )
