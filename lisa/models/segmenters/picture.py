"""One picture that a segmenter has encoded, ready for prompts: the way to masks and back."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from PIL import Image
from torch import Tensor

from lisa.errors import ConfigError
from lisa.models.segmenters.contract import MaskOutputs, MaskPrompts, Segmenter, SegmenterFeatures
from lisa.transforms import SegmenterTransform, logits_to_original
from lisa.types import ImageSize


@dataclass(frozen=True, eq=False)
class PromptablePicture:
    """A picture, and the segmenter that has encoded it.

    Attributes:
        segmenter: What decodes prompts.
        features: Of the one picture (B = 1), on the segmenter's device.
        original_size: Of the picture in pixels.
        resized_size: Of the picture inside the segmenter's frame.
    """

    segmenter: Segmenter
    features: SegmenterFeatures
    original_size: ImageSize
    resized_size: ImageSize

    @classmethod
    @torch.no_grad()
    def encode(cls, segmenter: Segmenter, image: Image.Image) -> PromptablePicture:
        """Encode an RGB picture with a segmenter that stands alone.

        Raises:
            ConfigError: If the segmenter reads the states of a vision tower, not pixels.
        """
        if segmenter.source != "pixels":
            raise ConfigError(
                "This segmenter reads the vision tower of a whole model: encode the picture with "
                "the model, `model.promptable(pipeline.encode(picture))`."
            )
        frame, resized = SegmenterTransform(segmenter.image_size)(image)
        parameter = next(segmenter.parameters())
        features = segmenter.encode(frame[None].to(parameter.device, parameter.dtype))
        return cls(segmenter, features, ImageSize(image.height, image.width), resized)

    @property
    def transform(self) -> SegmenterTransform:
        """Into the segmenter's frame; it is used for coordinates and masks, not for pixels."""
        return SegmenterTransform(self.segmenter.image_size)

    @property
    def mask_side(self) -> int:
        """Side 4h of masks in the segmenter's frame."""
        return 4 * self.segmenter.grid[0]

    @torch.no_grad()
    def decode(self, prompts: MaskPrompts, *, multimask: bool = False) -> MaskOutputs:
        """Decode N prompts on any device, with coordinates of the segmenter's frame."""
        parameter = next(self.segmenter.parameters())
        moved = {
            field.name: value.to(parameter.device)
            for field in fields(prompts)
            if (value := getattr(prompts, field.name)) is not None
        }
        if prompts.masks is not None:
            # Coordinates stay in float32, where a pixel of a large frame is still a pixel.
            moved["masks"] = moved["masks"].to(parameter.dtype)
        count = max(map(len, moved.values()), default=1)
        index = torch.zeros(count, dtype=torch.long, device=parameter.device)
        features = self.features.to(device=parameter.device)
        return self.segmenter.decode(
            features, index, replace(prompts, **moved), multimask=multimask
        )

    def logits_at(self, logits: Tensor, size: ImageSize | None = None) -> Tensor:
        """Bring logits of the frame to the size of the picture, or of a copy of it.

        Args:
            logits: (S, 4h, 4w).
            size: Of a copy of the picture, of the same shape; None is the picture's own.

        Returns:
            float32 (S, H, W).
        """
        wanted = self.original_size if size is None else size
        return logits_to_original(logits, self.segmenter.image_size, self.resized_size, wanted)
