"""Rewrites a released checkpoint in the project's own layout: safetensors, and a vision tower."""

from __future__ import annotations

from pathlib import Path

import torch

from lisa.errors import CheckpointError
from lisa.released.loader import load_released


def convert(
    source: str | Path,
    destination: str | Path,
    *,
    vision_tower: str | Path | None = None,
    dtype: torch.dtype | str | None = None,
    segmenter_dtype: torch.dtype | str | None = None,
    template: str | None = None,
    revision: str | None = None,
    offline: bool = False,
) -> Path:
    """Converts a published checkpoint into a folder that `LisaModel.from_pretrained` loads.

    Args:
        source: Hub id or folder of the checkpoint.
        destination: Folder to write; it may exist if it is empty.
        vision_tower: As `load_released` takes it, like all the others.
        dtype: Number type of the backbone; None keeps what is stored.
        segmenter_dtype: Number type of mask projection and segmenter; None keeps what is stored.
        template: Name of a conversation template.
        revision: Branch, tag or commit on the hub.
        offline: Use only what was downloaded before.

    Returns:
        The destination.

    Raises:
        CheckpointError: If the source cannot be loaded or the destination holds files already.
    """
    destination = Path(destination)
    if destination.is_file() or (destination.is_dir() and any(destination.iterdir())):
        # Also keeps a checkpoint whose files are mapped from being written over.
        raise CheckpointError(f"{destination} is not an empty folder; choose another name for it.")
    model, processor = load_released(
        source,
        vision_tower=vision_tower,
        dtype=dtype,
        segmenter_dtype=segmenter_dtype,
        template=template,
        revision=revision,
        offline=offline,
    )
    model.save_pretrained(destination)
    processor.save_pretrained(destination)
    return destination
