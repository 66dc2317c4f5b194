"""From a name to a model and its processor, whichever layout its folder has."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch

from lisa.base_weights import materialize
from lisa.devices import Placement
from lisa.errors import CheckpointError
from lisa.hub import read_json, resolve
from lisa.models import LisaModel
from lisa.processor import LisaProcessor


def open_model(
    name_or_path: str | Path,
    placement: Placement,
    *,
    of_float32: Placement | None = None,
    revision: str | None = None,
    offline: bool = False,
    template: str | None = None,
    vision_tower: str | Path | None = None,
    quantize: str | None = None,
) -> tuple[LisaModel, LisaProcessor]:
    """Load a model and its processor.

    Args:
        name_or_path: As `LisaPipeline.from_pretrained` takes it.
        placement: Device and number types.
        of_float32: The same for a model in our own layout that is stored in float32, if another.
        revision: As `LisaPipeline.from_pretrained` takes it.
        offline: The same.
        template: The same.
        vision_tower: The same.
        quantize: The same.

    Raises:
        CheckpointError: If weights cannot be found, read, or do not fit.
    """
    folder = resolve(name_or_path, revision, offline)
    config = read_json(folder / "config.json")
    if config.get("model_type") != LisaModel.config_class.model_type:
        from lisa.released import load_released

        # The name, not the folder: the default template follows from the repository's name.
        return load_released(
            name_or_path,
            vision_tower=vision_tower,
            dtype=placement.dtype,
            segmenter_dtype=placement.segmenter_dtype,
            device=placement.device,
            quantize=quantize,
            template=template,
            revision=revision,
            offline=offline,
        )
    if quantize is not None or vision_tower is not None:
        raise CheckpointError(
            f"{name_or_path} is in our own layout, where quantize and vision_tower have no "
            "use: leave them out."
        )
    if of_float32 is not None and config.get("dtype") == "float32":
        placement = of_float32
    folder = materialize(folder)
    loaded = LisaModel.from_pretrained(
        folder, dtype=placement.dtype, segmenter_dtype=placement.segmenter_dtype
    )
    model = torch.nn.Module.to(cast(LisaModel, loaded), placement.device)
    return model, LisaProcessor.from_pretrained(folder, template)
