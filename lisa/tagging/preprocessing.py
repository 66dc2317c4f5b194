"""From a picture to the square that the tagging models see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

# Of ImageNet, as the released weights are used. They were trained with CLIP's numbers, but
# published thresholds and scores come from these.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class TaggingTransform:
    """Scales a picture to a square and normalises it.

    Attributes:
        image_size: Side S of the square in pixels.
    """

    image_size: int

    def __call__(self, image: Image.Image) -> Tensor:
        """Returns (3, S, S) float32; the picture's proportions are not kept.

        Args:
            image: Any kind that Pillow turns into RGB; an alpha channel is dropped.
        """
        side = (self.image_size, self.image_size)
        scaled = image.convert("RGB").resize(side, Image.Resampling.BILINEAR)
        values = torch.from_numpy(np.array(scaled, dtype=np.uint8)).permute(2, 0, 1).float() / 255
        channel = (3, 1, 1)
        return (values - torch.tensor(_MEAN).view(channel)) / torch.tensor(_STD).view(channel)
