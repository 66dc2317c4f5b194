"""The segmenter's image transform, and its exact inverse for masks, side by side.

A picture is scaled so that its longest side fills the frame, normalised, and only then padded with
zeros at the right and the bottom. Coordinates and logits take the same way forth and back. The
numbers are those of SAM (Kirillov et al. 2023) and of released LISA checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from lisa.types import ImageSize

SAM_MEAN = (123.675, 116.28, 103.53)
SAM_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class SegmenterTransform:
    """Brings pictures into a square frame.

    Attributes:
        image_size: Side S of the frame in pixels.
        mean: Of the channels R, G, B in [0, 255].
        std: Of the channels R, G, B in [0, 255].
    """

    image_size: int
    mean: tuple[float, float, float] = SAM_MEAN
    std: tuple[float, float, float] = SAM_STD

    def resized_size(self, original: ImageSize) -> ImageSize:
        """Return the size that a picture has inside the frame; no side is less than 1 pixel."""
        scale = self.image_size / max(original)
        # Half-up rounding (not Python's half-to-even) is what the weights were trained with.
        return ImageSize(
            max(1, int(original.height * scale + 0.5)), max(1, int(original.width * scale + 0.5))
        )

    def resize(self, image: Image.Image) -> Image.Image:
        """Scale an RGB picture; bilinear on uint8, with Pillow's antialiasing."""
        size = self.resized_size(ImageSize(image.height, image.width))
        return image.resize((size.width, size.height), Image.Resampling.BILINEAR)

    def __call__(self, image: Image.Image) -> tuple[Tensor, ImageSize]:
        """Transform an RGB picture.

        Returns:
            The frame (3, S, S) float32, and the size of the picture inside it.
        """
        pixels = np.array(self.resize(image), dtype=np.uint8)
        size = ImageSize(*pixels.shape[:2])
        values = torch.from_numpy(pixels).permute(2, 0, 1).float()
        channel = (3, 1, 1)
        values = (values - torch.tensor(self.mean).view(channel)) / torch.tensor(self.std).view(
            channel
        )
        padding = (0, self.image_size - size.width, 0, self.image_size - size.height)
        return F.pad(values, padding), size

    def points_to_frame(self, points: Tensor, original: ImageSize) -> Tensor:
        """Map (x, y) points (..., 2) from pixels of the original picture to pixels of the frame."""
        resized = self.resized_size(original)
        factor = torch.tensor(
            [resized.width / original.width, resized.height / original.height], device=points.device
        )
        return points.float() * factor

    def boxes_to_frame(self, boxes: Tensor, original: ImageSize) -> Tensor:
        """Map xyxy boxes (..., 4) from pixels of the original picture to pixels of the frame."""
        corners = self.points_to_frame(boxes.reshape(*boxes.shape[:-1], 2, 2), original)
        return corners.reshape(boxes.shape)

    def masks_to_frame(self, masks: Tensor, original: ImageSize, side: int) -> Tensor:
        """Map masks or logits (S, H, W) onto a frame of `side` pixels, zero outside the picture.

        Returns:
            float32 (S, side, side).
        """
        resized = self.resized_size(original)
        inside = (
            max(1, round(resized.height * side / self.image_size)),
            max(1, round(resized.width * side / self.image_size)),
        )
        values = F.interpolate(masks[:, None].float(), size=inside, mode="area")[:, 0]
        return F.pad(values, (0, side - inside[1], 0, side - inside[0]))

    def logits_to_original(self, logits: Tensor, resized: ImageSize, original: ImageSize) -> Tensor:
        """Undo the transform for mask logits; see :func:`logits_to_original`."""
        return logits_to_original(logits, self.image_size, resized, original)


def logits_to_original(
    logits: Tensor, image_size: int, resized: ImageSize, original: ImageSize
) -> Tensor:
    """Bring mask logits of the frame back to the size of the picture.

    Args:
        logits: (S, 4h, 4w) of the whole frame, padding included.
        image_size: Side of the frame in pixels.
        resized: Size of the picture inside the frame.
        original: Size of the picture.

    Returns:
        float32 (S, H, W): bilinear to the frame, cropped, bilinear to the picture.
    """
    if not logits.shape[0]:
        return logits.new_zeros((0, *original), dtype=torch.float32)
    frame = F.interpolate(
        logits[:, None].float(), (image_size, image_size), mode="bilinear", align_corners=False
    )
    inside = frame[..., : resized.height, : resized.width]
    return F.interpolate(inside, tuple(original), mode="bilinear", align_corners=False)[:, 0]
