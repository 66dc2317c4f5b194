"""Image tokens from the vision tower of a LISA model: many tags for one more small network.

The tower is frozen and belongs to the LISA model, whose file alone holds its weights.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from lisa.base_weights import DELTA_FILE
from lisa.models.trunk import TrunkConfig, TrunkModel
from lisa.released.shards import Checkpoint
from lisa.tagging.config import TrunkSizes
from lisa.tagging.encoder import PictureEncoder
from lisa.transforms import SegmenterTransform

# Transformers leaves out the middle part where it saves a LISA model.
_IN_LISA = re.compile(r"^backbone\.(model\.)?vision_tower\.")
_HALF_RANGE = (127.5, 127.5, 127.5)


@dataclass(frozen=True)
class FrameTransform:
    """Brings a picture into a square frame in its own proportions, with values in [-1, 1].

    Attributes:
        image_size: Side S of the frame in pixels.
    """

    image_size: int

    def __call__(self, image: Image.Image) -> Tensor:
        """Returns (3, S, S) float32; what the picture does not fill is 0."""
        transform = SegmenterTransform(self.image_size, _HALF_RANGE, _HALF_RANGE)
        return transform(image.convert("RGB"))[0]


class TrunkEncoder(PictureEncoder):
    """A vision tower, its maps joined on one grid, and a projection that learns to tag."""

    shared = "tower"

    def __init__(self, sizes: TrunkSizes) -> None:
        super().__init__()
        self.transform = FrameTransform(sizes.image_size)
        self.grid_side = sizes.grid_side
        self.tower = TrunkModel(
            TrunkConfig(
                architecture=sizes.architecture,
                image_size=sizes.image_size,
                stages=sizes.stages,
                hidden_size=sizes.channels[-1],
            )
        )
        self.tower.requires_grad_(False)
        self.projection = nn.Conv2d(sum(sizes.channels), sizes.output_width, 1)

    def train(self, mode: bool = True) -> Self:
        """Sets the mode of what learns; the tower counts no batches."""
        super().train(mode)
        self.tower.train(False)
        return self

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Encodes pictures; see `PictureEncoder`."""
        states = self.tower(pixel_values).hidden_states
        return self.mix(join_maps(states, self.grid_side))

    def mix(self, maps: Tensor) -> Tensor:
        """Returns the tokens (B, 1 + g * g, D) of what `join_maps` returned."""
        places = self.projection(maps).flatten(2).transpose(1, 2)
        return torch.cat([places.mean(dim=1, keepdim=True), places], dim=1)


def join_maps(states: Sequence[Tensor], side: int) -> Tensor:
    """Brings the maps of a tower onto one grid and lays their channels behind each other.

    Args:
        states: Each (B, h * h, channels), as `lisa.models.trunk.TrunkModel` returns them.
        side: Side g of the grid; finer maps are averaged, coarser ones interpolated.

    Returns:
        (B, all channels, g, g); at each place the channels of each map have mean 0 and deviation 1,
        or the loud fine maps would drown the coarse ones, which know what things are.
    """
    joined = []
    for one in states:
        old = math.isqrt(one.shape[1])
        square = one.transpose(1, 2).unflatten(2, (old, old))
        if old >= side:
            square = F.adaptive_avg_pool2d(square, side)
        else:
            square = F.interpolate(square, (side, side), mode="bilinear")
        places = F.layer_norm(square.movedim(1, -1), (square.shape[1],))
        joined.append(places.movedim(-1, 1))
    return torch.cat(joined, dim=1)


def find_tower(folder: Path) -> Checkpoint:
    """Finds the weight file of a LISA model that holds its vision tower.

    Raises:
        CheckpointError: If there is no weight file, or it is damaged.
    """
    if (folder / DELTA_FILE).is_file():
        return Checkpoint.of_file(folder / DELTA_FILE)
    return Checkpoint.open(folder)


def tower_name(name: str) -> str:
    """Returns the name in a tagging model of a weight of a LISA model; others keep theirs."""
    return _IN_LISA.sub(f"visual_encoder.{TrunkEncoder.shared}.", name)
