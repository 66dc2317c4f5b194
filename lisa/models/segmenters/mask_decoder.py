"""SAM's mask decoder in Meta's key names; it decodes several images and returns the mask tokens.

The two-way transformer and the parameters are ``segment_anything``'s. Its ``forward`` cannot serve:
it decodes one image, repeats that image's data for each prompt, and keeps the mask tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from segment_anything.modeling.mask_decoder import (
    MaskDecoder as MetaMaskDecoder,
)
from segment_anything.modeling.transformer import (
    TwoWayTransformer,
)
from torch import Tensor, nn

from lisa.models.segmenters.contract import MaskOutputs
from lisa.models.segmenters.residual import ResidualBlock


class MaskDecoder(MetaMaskDecoder):  # type: ignore[misc]
    """Decodes image embeddings and embedded prompts to logits, IoU estimates and mask tokens."""

    def __init__(
        self,
        embed_dim: int,
        depth: int = 2,
        num_heads: int = 8,
        mlp_dim: int = 2048,
        num_multimask_outputs: int = 3,
        iou_head_depth: int = 3,
        iou_head_hidden_dim: int = 256,
        refine_dilations: Sequence[int] = (),
    ) -> None:
        """Create the parameters.

        Args:
            embed_dim: Width C; 8 and twice the number of heads divide it.
            depth: Number of two-way blocks.
            num_heads: Attention heads.
            mlp_dim: Hidden width of the blocks' MLPs.
            num_multimask_outputs: Masks of an ambiguous prompt.
            iou_head_depth: Layers of the IoU head.
            iou_head_hidden_dim: Hidden width of the IoU head.
            refine_dilations: Of residual blocks between the two upscalings, used with skips. SAM
                has none: its upscalings look at no neighbour, so what a prompt means has reached
                every cell before borders are drawn.
        """
        super().__init__(
            transformer_dim=embed_dim,
            transformer=TwoWayTransformer(
                depth=depth, embedding_dim=embed_dim, num_heads=num_heads, mlp_dim=mlp_dim
            ),
            num_multimask_outputs=num_multimask_outputs,
            iou_head_depth=iou_head_depth,
            iou_head_hidden_dim=iou_head_hidden_dim,
        )
        if refine_dilations:
            width = embed_dim // 4
            self.refine = nn.Sequential(*(ResidualBlock(width, one) for one in refine_dilations))

    def forward(
        self,
        image: Tensor,
        image_pe: Tensor,
        sparse: Tensor,
        dense: Tensor,
        skips: Sequence[Tensor] = (),
        *,
        multimask: bool,
    ) -> MaskOutputs:
        """Decode N prompts.

        Args:
            image: (N, C, h, w) the image embedding that belongs to each prompt; any h and w.
            image_pe: (1, C, h, w) positions of the grid; broadcast, never repeated.
            sparse: (N, K, C).
            dense: (N, C, h, w).
            skips: Nothing, or what each of the two upscalings adds to its result: (N, C / 4, 2h,
                2w) and (N, C / 8, 4h, 4w), as SAM 2 does (Ravi et al. 2024, appendix D).
            multimask: False for mask token 0 alone, True for all others.
        """
        count, channels, h, w = image.shape
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own.expand(count, -1, -1), sparse], dim=1)  # (N, 2 + M + K, C)
        states, pixels = self.transformer(image + dense, image_pe, tokens)

        # Token 0 is trained for clear prompts, the others for the readings of an ambiguous one.
        chosen = slice(1, None) if multimask else slice(0, 1)
        mask_tokens = states[:, 1 : 1 + self.num_mask_tokens][:, chosen]  # (N, M, C)
        heads = self.output_hypernetworks_mlps[chosen]
        kernels = torch.stack([head(mask_tokens[:, i]) for i, head in enumerate(heads)], dim=1)
        pixels = pixels.transpose(1, 2).reshape(count, channels, h, w)
        upscaled = self._upscale(pixels, skips)  # (N, C / 8, 4h, 4w)
        logits = (kernels @ upscaled.flatten(2)).unflatten(2, upscaled.shape[-2:])
        iou = self.iou_prediction_head(states[:, 0])[:, chosen]
        return MaskOutputs(logits=logits, iou=iou, mask_tokens=mask_tokens)

    def _upscale(self, pixels: Tensor, skips: Sequence[Tensor]) -> Tensor:
        if not skips:
            upscaled: Tensor = self.output_upscaling(pixels)
            return upscaled
        first, norm, activation, second, last_activation = self.output_upscaling
        coarse, fine = skips
        doubled = activation(norm(first(pixels) + coarse))
        if hasattr(self, "refine"):
            doubled = self.refine(doubled)
        upscaled = last_activation(second(doubled) + fine)
        return upscaled
