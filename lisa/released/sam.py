"""A SAM in Meta's layout: its weights are described, checked and read."""

from __future__ import annotations

from pathlib import Path

import torch

from lisa.devices import Placement
from lisa.errors import CheckpointError
from lisa.models.segmenters import SamConfig, SamSegmenter, sam_config_from_state_dict
from lisa.released.shards import Checkpoint, TensorInfo


def open_sam(path: Path) -> tuple[Checkpoint, SamConfig]:
    """Describes the weights of a SAM and checks them; reads no values.

    Args:
        path: A file, or a folder with one such file.

    Raises:
        CheckpointError: If it is missing, damaged or no complete SAM.
    """
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.suffix in (".pth", ".safetensors"))
        if len(found) != 1:
            raise CheckpointError(
                f"{path} holds {len(found)} weight files (.pth, .safetensors) where one was "
                "expected: name the SAM file itself."
            )
        path = found[0]
    if not path.is_file():
        raise CheckpointError(
            f"There is no {path}: give a SAM in Meta's layout, such as sam_vit_h_4b8939.pth."
        )
    sam = Checkpoint.of_file(path)
    config = sam_config_from_state_dict({name: info.shape for name, info in sam.tensors.items()})
    with torch.device("meta"):
        wanted = SamSegmenter(config).state_dict()
    faults = sam.faults(
        {name: TensorInfo.of(tensor) for name, tensor in wanted.items()}, lambda name: False
    )
    if faults:
        raise CheckpointError(
            f"{path} is no complete SAM in Meta's layout ({'; '.join(faults)}): give a file such "
            "as sam_vit_h_4b8939.pth."
        )
    return sam, config


def load_sam(path: Path, placement: Placement) -> SamSegmenter:
    """Loads a SAM that stands alone, in the placement's `segmenter_dtype`.

    Args:
        path: As `open_sam`.
        placement: Device and number type.

    Raises:
        CheckpointError: As `open_sam`.
    """
    checkpoint, config = open_sam(path.expanduser())
    sam = SamSegmenter(config)
    sam.load_state_dict(dict(checkpoint.stream()))
    return sam.eval().to(placement.device, placement.segmenter_dtype)
