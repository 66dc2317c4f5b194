"""CLIP's embeddings of pictures, which the mean image token of a tagger learns to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from lisa.errors import CheckpointError
from lisa.hub import resolve


class PictureEmbedder:
    """The picture half of a CLIP model."""

    def __init__(self, model: Any, processor: Any) -> None:
        """Take a vision model with projection and its image processor."""
        self._model = model.eval()
        self._processor = processor

    @classmethod
    def from_pretrained(
        cls, name_or_path: str, device: torch.device, offline: bool = False
    ) -> PictureEmbedder:
        """Load a CLIP, folder or hub id.

        Raises:
            CheckpointError: If there is no such model, or it has no picture half.
        """
        from transformers import AutoImageProcessor, CLIPVisionModelWithProjection

        folder = resolve(name_or_path, None, offline)
        try:
            loaded: Any = CLIPVisionModelWithProjection.from_pretrained(
                folder, dtype=torch.float32, output_loading_info=True
            )
            processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
        except (OSError, ValueError, KeyError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise CheckpointError(
                f"{name_or_path} holds no CLIP with pictures ({reason}): give a folder or hub id "
                "such as openai/clip-vit-base-patch16."
            ) from error
        model, report = loaded
        if report["missing_keys"]:
            raise CheckpointError(
                f"{name_or_path} lacks weights of CLIP's picture half "
                f"({min(report['missing_keys'])}): give a complete CLIP."
            )
        return cls(model.to(device), processor)

    @torch.no_grad()
    def __call__(self, images: Sequence[Image.Image]) -> Tensor:
        """Returns (B, E), not brought to length 1."""
        inputs = self._processor(images=list(images), return_tensors="pt")
        embedded: Tensor = self._model(
            pixel_values=inputs["pixel_values"].to(self._model.device)
        ).image_embeds
        return embedded
