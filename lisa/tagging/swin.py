"""Swin transformer (Liu et al. 2021, arXiv 2103.14030) under the names of the released weights.

It is here, and not taken from a library, because the libraries rename its parts between versions.
Its output is what the tagging models read: the mean of all places first, then the places.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lisa.tagging.config import SwinSizes
from lisa.tagging.encoder import PictureEncoder
from lisa.tagging.preprocessing import TaggingTransform

PATCH = 4
_MLP_RATIO = 4
# What is added to the attention between places of a shifted window that are no neighbours.
_APART = -100.0


class SwinEncoder(PictureEncoder):
    """Encodes square pictures of one size."""

    def __init__(self, sizes: SwinSizes) -> None:
        super().__init__()
        self.transform = TaggingTransform(sizes.image_size)
        self.patch_embed = _PatchEmbedding(sizes.width)
        grid = sizes.image_size // PATCH
        last = len(sizes.depths) - 1
        self.layers = nn.ModuleList(
            _Stage(
                sizes.width * 2**stage,
                grid // 2**stage,
                sizes.window,
                depth,
                heads,
                halves=stage < last,
            )
            for stage, (depth, heads) in enumerate(zip(sizes.depths, sizes.heads, strict=True))
        )
        self.norm = nn.LayerNorm(sizes.output_width)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Encodes pictures.

        Args:
            pixel_values: (B, 3, S, S), normalised.

        Returns:
            (B, 1 + P, D): the mean token, then the P = (S / 32)^2 places row by row.
        """
        places = self.patch_embed(pixel_values)
        for stage in self.layers:
            places = stage(places)
        places = self.norm(places)
        return torch.cat([places.mean(dim=1, keepdim=True), places], dim=1)


class _PatchEmbedding(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, kernel_size=PATCH, stride=PATCH)
        self.norm = nn.LayerNorm(width)

    def forward(self, pixel_values: Tensor) -> Tensor:
        places: Tensor = self.norm(self.proj(pixel_values).flatten(2).transpose(1, 2))
        return places


class _Stage(nn.Module):
    def __init__(
        self, width: int, grid: int, window: int, depth: int, heads: int, halves: bool
    ) -> None:
        super().__init__()
        # A grid that one window covers has nothing to shift towards.
        shift = window // 2 if grid > window else 0
        window = min(window, grid)
        self.blocks = nn.ModuleList(
            _Block(width, grid, window, shift if number % 2 else 0, heads)
            for number in range(depth)
        )
        self.downsample = _PatchMerging(width, grid) if halves else None

    def forward(self, places: Tensor) -> Tensor:
        for block in self.blocks:
            places = block(places)
        return places if self.downsample is None else self.downsample(places)


class _PatchMerging(nn.Module):
    def __init__(self, width: int, grid: int) -> None:
        super().__init__()
        self.grid = grid
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, places: Tensor) -> Tensor:
        batch, _, width = places.shape
        quads = places.view(batch, self.grid // 2, 2, self.grid // 2, 2, width)
        # Of each 2 x 2 places: top left, bottom left, top right, bottom right.
        joined = quads.permute(0, 1, 3, 4, 2, 5).reshape(batch, -1, 4 * width)
        merged: Tensor = self.reduction(self.norm(joined))
        return merged


class _Block(nn.Module):
    apart: Tensor | None

    def __init__(self, width: int, grid: int, window: int, shift: int, heads: int) -> None:
        super().__init__()
        self.grid, self.window, self.shift = grid, window, shift
        self.norm1 = nn.LayerNorm(width)
        self.attn = _WindowAttention(width, window, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.ModuleDict(
            {
                "fc1": nn.Linear(width, _MLP_RATIO * width),
                "fc2": nn.Linear(_MLP_RATIO * width, width),
            }
        )
        apart = shifted_window_mask(grid, window, shift) if shift else None
        self.register_buffer("apart", apart, persistent=False)

    def forward(self, places: Tensor) -> Tensor:
        batch, _, width = places.shape
        picture = self.norm1(places).view(batch, self.grid, self.grid, width)
        if self.shift:
            picture = picture.roll((-self.shift, -self.shift), dims=(1, 2))
        attended = self.attn(_to_windows(picture, self.window), self.apart)
        picture = _from_windows(attended, self.window, self.grid)
        if self.shift:
            picture = picture.roll((self.shift, self.shift), dims=(1, 2))
        places = places + picture.reshape(batch, -1, width)
        inner = F.gelu(self.mlp["fc1"](self.norm2(places)))
        moved: Tensor = places + self.mlp["fc2"](inner)
        return moved


class _WindowAttention(nn.Module):
    index: Tensor

    def __init__(self, width: int, window: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("index", _relative_index(window), persistent=False)

    def forward(self, windows: Tensor, apart: Tensor | None) -> Tensor:
        """Attends inside each window.

        Args:
            windows: (B * n, window^2, D), the n windows of a picture behind each other.
            apart: (n, window^2, window^2) to add; None for nothing.
        """
        count, places, width = windows.shape
        query, key, value = (
            self.qkv(windows).view(count, places, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        )
        bias = self.relative_position_bias_table[self.index].permute(2, 0, 1)[None]
        if apart is not None:
            bias = bias + apart[:, None].to(bias.dtype)
            bias = bias.repeat(count // apart.shape[0], 1, 1, 1)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        mixed: Tensor = self.proj(seen.transpose(1, 2).reshape(count, places, width))
        return mixed


def shifted_window_mask(grid: int, window: int, shift: int) -> Tensor:
    """Returns what keeps apart the pieces of a shifted window that do not touch in the picture.

    Args:
        grid: Side of the picture in places.
        window: Side of a window in places; divides the grid.
        shift: How far the windows are moved.

    Returns:
        float32 (n, window^2, window^2): 0 inside a piece, -100 between pieces.
    """
    along = torch.zeros(grid)
    along[grid - window : grid - shift] = 1
    along[grid - shift :] = 2
    pieces = (3 * along[:, None] + along[None, :])[None, ..., None]
    of_place = _to_windows(pieces, window)[..., 0]
    differ = of_place[:, :, None] != of_place[:, None, :]
    return torch.where(differ, _APART, 0.0)


def _relative_index(window: int) -> Tensor:
    """Returns which row of the bias table belongs to each pair of places: (w^2, w^2) long."""
    places = torch.cartesian_prod(torch.arange(window), torch.arange(window)).view(-1, 2)
    offset = places[:, None] - places[None, :] + window - 1
    return offset[..., 0] * (2 * window - 1) + offset[..., 1]


def _to_windows(picture: Tensor, window: int) -> Tensor:
    batch, grid, _, width = picture.shape
    cut = picture.view(batch, grid // window, window, grid // window, window, width)
    return cut.transpose(2, 3).reshape(-1, window * window, width)


def _from_windows(windows: Tensor, window: int, grid: int) -> Tensor:
    side = grid // window
    cut = windows.view(-1, side, side, window, window, windows.shape[-1])
    return cut.transpose(2, 3).reshape(-1, grid, grid, windows.shape[-1])
