"""SAM's image encoder, a windowed ViT (Li et al. 2022, "ViTDet"), in Meta's key names.

``segment_anything`` builds the whole attention matrix several times over. Here the decomposed
relative positions (Li et al. 2022, "MViTv2", section 4.1) are the additive mask of one fused call.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from segment_anything.modeling.common import (
    LayerNorm2d,
    MLPBlock,
)
from segment_anything.modeling.image_encoder import (
    PatchEmbed,
    window_partition,
    window_unpartition,
)
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from lisa.errors import ImageError

_NORM_EPS = 1e-6


class Attention(nn.Module):
    """Multi-head self-attention over a grid of fixed size, with relative positions on both axes."""

    def __init__(self, dim: int, num_heads: int, grid: tuple[int, int]) -> None:
        """Create the parameters.

        Args:
            dim: Width; the heads divide it.
            num_heads: Number of heads.
            grid: (h, w) of every input.
        """
        super().__init__()
        self.num_heads = num_heads
        head_dim = dim // num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * grid[0] - 1, head_dim))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * grid[1] - 1, head_dim))

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each grid: (B, h, w, dim) to (B, h, w, dim)."""
        batch, h, w, dim = x.shape
        qkv = self.qkv(x).reshape(batch, h * w, 3, self.num_heads, -1)
        # Each (B, heads, h * w, head_dim).
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        positions = self._position_bias(query, (h, w))
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=positions)
        mixed = mixed.transpose(1, 2).reshape(batch, h, w, dim)
        out: Tensor = self.proj(mixed)
        return out

    def _position_bias(self, query: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return what each query adds to its logit for each key, (B, heads, h * w, h * w).

        The unscaled query meets one vector per row distance and one per column distance.
        """
        h, w = grid
        cells = query.reshape(*query.shape[:2], h, w, -1)  # (B, heads, h, w, head_dim)
        rows = _distances(self.rel_pos_h, h).to(query.dtype)
        columns = _distances(self.rel_pos_w, w).to(query.dtype)
        by_row = torch.einsum("bnhwc,hkc->bnhwk", cells, rows).contiguous()
        by_column = torch.einsum("bnhwc,wkc->bnhwk", cells, columns).contiguous()
        return (by_row[..., :, None] + by_column[..., None, :]).flatten(4).flatten(2, 3)


def _distances(table: Tensor, size: int) -> Tensor:
    """Spread (2 * size - 1, head_dim) to (query, key, head_dim) by query minus key."""
    place = torch.arange(size, device=table.device)
    return table[place[:, None] - place[None, :] + size - 1]


class Block(nn.Module):
    """A transformer block that attends within windows, or to the whole grid."""

    def __init__(
        self, dim: int, num_heads: int, mlp_dim: int, grid: tuple[int, int], window_size: int
    ) -> None:
        """Create the parameters.

        Args:
            dim: Width.
            num_heads: Attention heads.
            mlp_dim: Hidden width of the MLP.
            grid: (h, w) of the whole image.
            window_size: Side of a window in cells; 0 for global attention.
        """
        super().__init__()
        self.window_size = window_size
        attended = (window_size, window_size) if window_size else grid
        self.norm1 = nn.LayerNorm(dim, eps=_NORM_EPS)
        self.attn = Attention(dim, num_heads, attended)
        self.norm2 = nn.LayerNorm(dim, eps=_NORM_EPS)
        self.mlp = MLPBlock(dim, mlp_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, h, w, dim) for (B, h, w, dim)."""
        mixed = self.norm1(x)
        if self.window_size:
            # Windows at the right and lower edge are filled up with zeros, which are attended to:
            # the weights were trained that way.
            windows, padded = window_partition(mixed, self.window_size)
            size = (x.shape[1], x.shape[2])
            mixed = window_unpartition(self.attn(windows), self.window_size, padded, size)
        else:
            mixed = self.attn(mixed)
        x = x + mixed
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class ImageEncoder(nn.Module):
    """Pixels to image embedding."""

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        embed_dim: int,
        depth: int,
        num_heads: int,
        mlp_dim: int,
        out_dim: int,
        window_size: int,
        global_attn_indexes: Collection[int],
    ) -> None:
        """Create the parameters.

        Args:
            image_size: Side S of the square input in pixels.
            patch_size: Side of a patch in pixels; it divides S.
            embed_dim: Width of the blocks.
            depth: Number of blocks.
            num_heads: Attention heads of a block.
            mlp_dim: Hidden width of a block's MLP.
            out_dim: Channels C of the result.
            window_size: Side of a window in patches.
            global_attn_indexes: Blocks without windows.
        """
        super().__init__()
        self.image_size = image_size
        side = image_size // patch_size
        patch = (patch_size, patch_size)
        self.patch_embed = PatchEmbed(kernel_size=patch, stride=patch, embed_dim=embed_dim)
        self.pos_embed = nn.Parameter(torch.zeros(1, side, side, embed_dim))
        self.blocks = nn.ModuleList(
            Block(
                embed_dim,
                num_heads,
                mlp_dim,
                grid=(side, side),
                window_size=0 if index in global_attn_indexes else window_size,
            )
            for index in range(depth)
        )
        self.neck = nn.Sequential(
            nn.Conv2d(embed_dim, out_dim, kernel_size=1, bias=False),
            LayerNorm2d(out_dim),
            nn.Conv2d(out_dim, out_dim, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(out_dim),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode (B, 3, S, S) normalised, padded pixels to (B, C, h, w).

        Raises:
            ImageError: If the pixels do not have the frame's shape.
        """
        frame = (3, self.image_size, self.image_size)
        if tuple(pixels.shape[1:]) != frame:
            raise ImageError(
                f"The segmenter got pixels of shape {tuple(pixels.shape)} and reads "
                f"(images, {', '.join(map(str, frame))}): resize and pad them to its frame."
            )
        x = self.patch_embed(pixels) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self._apply_neck(x.permute(0, 3, 1, 2))

    def _apply_neck(self, x: Tensor) -> Tensor:
        """Map the last block's state, (B, embed_dim, h, w), to C channels."""
        if x.dtype != torch.float16:
            out: Tensor = self.neck(x)
            return out
        # The variance of the blocks' large activations exceeds what float16 can hold.
        weights = {name: value.float() for name, value in self.neck.named_parameters()}
        with torch.autocast(x.device.type, enabled=False):
            wide: Tensor = torch.func.functional_call(self.neck, weights, (x.float(),))
        return wide.to(x.dtype)
