"""A training step as LISA's released code computes it: what `eval.speed train` compares ours with.

It is the same mathematics in more work: the vision tower runs once for every conversation instead
of once for every picture, SAM's image encoder (Meta's own module, which builds whole attention
matrices) takes one picture after the other, attention is written out in float32, and the language
model scores every position instead of those that are learnt from. What both share (the mask
decoder, the losses, the optimiser) is ours.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from eval.timings.original_way import original_image_encoder
from lisa.models import LisaModel
from lisa.models.segmenters import SamConfig
from training.examples import Batch
from training.step import stack_sums


class OriginalSums(nn.Module):
    """Takes and returns what `training.step.LossSumsOf` does."""

    def __init__(self, model: LisaModel) -> None:
        """Wrap a model; its attention and its image encoder are replaced.

        Args:
            model: With SAM as its segmenter; changed in place.
        """
        super().__init__()
        self.model = model
        model.backbone.set_attn_implementation("eager")
        config = model.segmenter.config
        assert isinstance(config, SamConfig)
        model.segmenter.image_encoder = original_image_encoder(
            config, model.segmenter.get_submodule("image_encoder")
        )

    def forward(self, batch: Batch) -> Tensor:
        """Run the conversations of a batch, teacher forced."""
        model, images = self.model, batch.images
        with torch.no_grad():
            features = [model.segmenter.encode(frame[None]) for frame in images.sam_pixel_values]
        shown = batch.image_index.tolist()
        pictures = model.encode_images(
            images.pixel_values[batch.image_index],
            original_sizes=[images.original_sizes[i] for i in shown],
            resized_sizes=[images.resized_sizes[i] for i in shown],
        )
        output = model(
            batch.input_ids,
            batch.attention_mask,
            batch.labels,
            images=[
                replace(one, segmenter_features=features[i])
                for one, i in zip(pictures, shown, strict=True)
            ],
            gt_masks=batch.gt_masks,
        )
        return stack_sums(output)
