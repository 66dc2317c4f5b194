"""Loads a released LISA checkpoint, tensor by tensor, into a model that takes no memory before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from lisa.errors import CheckpointError
from lisa.hub import resolve
from lisa.models import LisaModel
from lisa.models.loading import as_dtype
from lisa.processor import LisaProcessor, ProcessorSettings
from lisa.prompts import default_template
from lisa.released import key_map
from lisa.released.config import (
    PartTypes,
    config_of_checkpoint,
    image_tokens,
    read_released_config,
    stored_types,
)
from lisa.released.empty_model import build_empty, put
from lisa.released.layouts import released_tensors
from lisa.released.quantize import Quantizer
from lisa.released.shards import Checkpoint, TensorInfo
from lisa.released.vision_tower import VisionTower
from lisa.tokenization import LegacyLlamaTokenizer
from lisa.transforms import SegmenterTransform


def load_released(
    name_or_path: str | Path,
    *,
    vision_tower: str | Path | None = None,
    dtype: torch.dtype | str | None = None,
    segmenter_dtype: torch.dtype | str | None = None,
    device: torch.device | str = "cpu",
    quantize: str | None = None,
    template: str | None = None,
    revision: str | None = None,
    offline: bool = False,
) -> tuple[LisaModel, LisaProcessor]:
    """Loads a published checkpoint, or a folder in the same layout.

    On the CPU, weights that keep their number type stay mapped from their files. Host memory never
    holds more than the model and the tensor that is being converted.

    Args:
        name_or_path: Hub id such as "xinlai/LISA-7B-v1", or a folder.
        vision_tower: Folder or hub id of CLIP, which the layout leaves out; None takes the one that
            `config.json` names, from the hub.
        dtype: Number type of vision tower, projector and language model; None keeps what is stored
            (the tower follows the language model).
        segmenter_dtype: Number type of mask projection and segmenter; None keeps what is stored.
        device: Where the weights go as they are read.
        quantize: "4bit" or "8bit" for the language model's layers; None for neither.
        template: Name of a conversation template; None takes the repository's.
        revision: Branch, tag or commit of the checkpoint's hub repository.
        offline: Use only what was downloaded before.

    Raises:
        CheckpointError: If files are missing, damaged or of another layout, or a weight is missing,
            unexpected or of another shape: all such weights are listed.
        ConfigError: If an option's value is unknown.
        MissingDependencyError: If `quantize` needs a package that is not installed.
    """
    folder = resolve(name_or_path, revision, offline)
    released = read_released_config(folder)
    tokenizer = LegacyLlamaTokenizer.from_pretrained(folder)
    checkpoint = Checkpoint.open(folder)
    tower = VisionTower.open(vision_tower, released, offline=offline)
    stored = stored_types(checkpoint.tensors)
    types = PartTypes(
        stored.backbone if dtype is None else as_dtype(dtype),
        stored.segmenter if segmenter_dtype is None else as_dtype(segmenter_dtype),
    )
    config = config_of_checkpoint(released, checkpoint.tensors, tokenizer, tower.config, types)
    settings = ProcessorSettings(
        template=template or default_template(str(name_or_path)),
        image_tokens=image_tokens(config),
        image_token_id=config.image_token_id,
        context_length=config.context_length,
    )
    model = build_empty(config, types)
    transform = SegmenterTransform(model.segmenter.image_size)
    processor = LisaProcessor(tokenizer, transform, settings, tower.image_processor)
    _check(checkpoint, released_tensors(model), key_map.is_ignored)
    _check(tower.checkpoint, _tower_tensors(model), VisionTower.is_ignored)
    fill(model, _weights(checkpoint, tower), types, torch.device(device), quantize)
    return model, processor


def _check(
    checkpoint: Checkpoint,
    expected: Mapping[str, TensorInfo],
    is_ignored: Callable[[str], bool],
) -> None:
    """Accepts a checkpoint only if all weights that are needed are there, and all others known."""
    faults = checkpoint.faults(expected, is_ignored)
    if faults:
        raise CheckpointError(
            f"The weights in {checkpoint.folder} do not fit their config.json "
            f"({'; '.join(faults)}); give the complete files of one checkpoint."
        )


def _tower_tensors(model: LisaModel) -> dict[str, TensorInfo]:
    """Returns what a CLIP checkpoint has to hold for a model, by CLIP's names."""
    prefix = key_map.VISION_TOWER_PREFIX
    return {
        f"vision_model.{name.removeprefix(prefix)}": TensorInfo.of(tensor)
        for name, tensor in model.state_dict().items()
        if name.startswith(prefix)
    }


def _weights(checkpoint: Checkpoint, tower: VisionTower) -> Iterator[tuple[str, Tensor]]:
    """Yields every weight of the model under our name, with a progress bar over the bytes."""
    total = sum(
        info.num_bytes for part in (checkpoint, tower.checkpoint) for info in part.tensors.values()
    )
    with tqdm(total=total, unit="B", unit_scale=True, desc="Loading weights") as progress:
        for part, to_ours in ((checkpoint, key_map.to_ours), (tower.checkpoint, tower.to_ours)):
            ignored = key_map.is_ignored if part is checkpoint else tower.is_ignored
            for name, tensor in part.stream():
                progress.update(tensor.nbytes)
                ours = None if ignored(name) else to_ours(name)
                if ours is not None:
                    yield ours, tensor


def fill(
    model: LisaModel,
    weights: Iterable[tuple[str, Tensor]],
    types: PartTypes,
    device: torch.device,
    quantize: str | None,
) -> None:
    """Puts weights into an empty model, one after the other.

    Args:
        model: As `build_empty` builds it.
        weights: Every parameter by name; floating numbers of any type on any device.
        types: Number types of the result.
        device: Where it is to live.
        quantize: As `load_released` takes it.
    """
    quantizer = None if quantize is None else Quantizer(quantize, device)
    if quantizer is not None:
        quantizer.prepare(model)
    for name, tensor in weights:
        dtype = types.of(name)
        if quantizer is not None and quantizer.handles(name):
            quantizer.put(model, name, tensor.to(dtype))
        else:
            put(model, name, tensor.to(device=device, dtype=dtype))
    for name, buffer in list(model.named_buffers()):
        put(model, name, buffer.to(device))  # also those that no file holds
