"""The half of SAM that every SAM-like segmenter shares: prompts and image features to masks."""

from __future__ import annotations

from torch import Tensor

from lisa.errors import PromptError
from lisa.models.segmenters.contract import MaskOutputs, MaskPrompts, Segmenter, SegmenterFeatures
from lisa.models.segmenters.mask_decoder import MaskDecoder
from lisa.models.segmenters.prompt_encoder import PromptEncoder


class PromptableSegmenter(Segmenter):
    """A segmenter that decodes with SAM's prompt encoder and mask decoder.

    Subclasses build ``prompt_encoder`` and ``mask_decoder`` and say how an image is encoded.
    """

    prompt_encoder: PromptEncoder
    mask_decoder: MaskDecoder

    def decode(
        self,
        features: SegmenterFeatures,
        image_index: Tensor,
        prompts: MaskPrompts,
        *,
        multimask: bool = False,
    ) -> MaskOutputs:
        """Decode N prompts of any images in one batch; see :meth:`Segmenter.decode`."""
        expected = (self.prompt_dim, *self.grid)
        if tuple(features.embedding.shape[1:]) != expected:
            raise PromptError(
                f"The image features have shape {tuple(features.embedding.shape)}, this segmenter "
                f"reads (images, {', '.join(map(str, expected))}): encode the image with it."
            )
        prompts = self.complete(prompts, features, image_index)
        sparse, dense = self.prompt_encoder(prompts, count=image_index.shape[0])
        # The decoder changes the image's state for each prompt, so each starts from its own copy.
        own = features.to(dtype=sparse.dtype).select(image_index)
        positions = self.prompt_encoder.get_dense_pe()
        outputs: MaskOutputs = self.mask_decoder(
            own.embedding, positions, sparse, dense, own.skips, multimask=multimask
        )
        return outputs

    def complete(
        self, prompts: MaskPrompts, features: SegmenterFeatures, image_index: Tensor
    ) -> MaskPrompts:
        """Return the prompts with what this segmenter adds to them; SAM adds nothing."""
        return prompts
