"""SAM's prompt encoder in Meta's key names: points, boxes, masks, ready-made embeddings.

The parameters are those of ``segment_anything``'s class. Its arithmetic cannot serve: it mixes
dtypes when the weights are not float32, and it does not know ready-made embeddings.
"""

from __future__ import annotations

import math

import torch
from segment_anything.modeling.prompt_encoder import (
    PromptEncoder as MetaPromptEncoder,
)
from torch import Tensor

from lisa.models.segmenters.contract import MaskPrompts


class PromptEncoder(MetaPromptEncoder):  # type: ignore[misc]
    """Embeds prompts for :class:`~lisa.models.segmenters.mask_decoder.MaskDecoder`."""

    def __init__(
        self,
        embed_dim: int,
        image_embedding_size: tuple[int, int],
        input_image_size: tuple[int, int],
        mask_in_chans: int = 16,
    ) -> None:
        """Create the parameters.

        Args:
            embed_dim: Width C.
            image_embedding_size: Grid (h, w) of the image embedding.
            input_image_size: (height, width) in pixels of the frame that coordinates refer to.
            mask_in_chans: Hidden channels of the mask embedding; 4 divides it.
        """
        super().__init__(embed_dim, image_embedding_size, input_image_size, mask_in_chans)

    def forward(self, prompts: MaskPrompts, count: int) -> tuple[Tensor, Tensor]:
        """Embed ``count`` = N prompts.

        Args:
            prompts: N prompts in any floating dtype, on the module's device.
            count: N, which empty prompts cannot tell themselves.

        Returns:
            Sparse (N, K, C), K may be 0, and dense (N, C, h, w), in the dtype of the weights.

        Raises:
            PromptError: If a shape does not fit.
        """
        h, w = self.image_embedding_size
        prompts.check(count, self.embed_dim, (h, w))
        none = self.no_mask_embed.weight
        tokens = []
        if prompts.points is not None and prompts.point_labels is not None:
            padded = prompts.boxes is None
            tokens.append(self._point_tokens(prompts.points, prompts.point_labels, padded))
        if prompts.boxes is not None:
            tokens.append(self._box_tokens(prompts.boxes))
        if prompts.sparse is not None:
            tokens.append(prompts.sparse.to(none.dtype))
        sparse = torch.cat(tokens, dim=1) if tokens else none.new_empty(count, 0, self.embed_dim)

        if prompts.masks is not None:
            dense = self.mask_downscaling(prompts.masks.to(none.dtype))
        elif prompts.dense is not None:
            dense = prompts.dense.to(none.dtype)
        else:
            dense = none.reshape(1, -1, 1, 1).expand(count, -1, h, w)
        return sparse, dense

    def get_dense_pe(self) -> Tensor:
        """Return the positions of the grid's cells, (1, C, h, w), in the dtype of the weights."""
        h, w = self.image_embedding_size
        device = self.no_mask_embed.weight.device
        y = (torch.arange(h, device=device) + 0.5) / h
        x = (torch.arange(w, device=device) + 0.5) / w
        cells = torch.stack([x.expand(h, w), y[:, None].expand(h, w)], dim=-1)  # (h, w, 2)
        return self._positions(cells).permute(2, 0, 1)[None]

    def _positions(self, coordinates: Tensor) -> Tensor:
        """Random Fourier features of (x, y) in [0, 1]: (..., 2) to (..., C).

        Always in float32, also under autocast: a phase of many turns has no meaning in half
        precision. The order of operations is Meta's, since small models amplify its rounding.
        """
        matrix = self.pe_layer.positional_encoding_gaussian_matrix.float()  # (2, C / 2)
        with torch.autocast(coordinates.device.type, enabled=False):
            phase = 2 * math.pi * ((2 * coordinates.float() - 1) @ matrix)
        features = torch.cat([phase.sin(), phase.cos()], dim=-1)
        return features.to(self.no_mask_embed.weight.dtype)

    def _frame_positions(self, points: Tensor) -> Tensor:
        height, width = self.input_image_size
        size = torch.tensor([width, height], dtype=torch.float32, device=points.device)
        return self._positions((points.float() + 0.5) / size)  # A pixel's position is its centre.

    def _point_tokens(self, points: Tensor, labels: Tensor, padded: bool) -> Tensor:
        """Return (N, P, C), or (N, P + 1, C): without a box SAM always adds one padding point."""
        if padded:
            points = torch.nn.functional.pad(points, (0, 0, 0, 1))
            labels = torch.nn.functional.pad(labels, (0, 1), value=-1)
        labels = labels[..., None]
        background, foreground = (self.point_embeddings[i].weight for i in (0, 1))
        tokens = self._frame_positions(points)
        tokens = torch.where(labels == 0, tokens + background, tokens)
        tokens = torch.where(labels == 1, tokens + foreground, tokens)
        return torch.where(labels == -1, self.not_a_point_embed.weight, tokens)

    def _box_tokens(self, boxes: Tensor) -> Tensor:
        """Return (N, 2, C): the top left corner, then the bottom right one."""
        corners = torch.cat([self.point_embeddings[i].weight for i in (2, 3)])  # (2, C)
        return self._frame_positions(boxes.reshape(-1, 2, 2)) + corners
