"""A small segmenter: SAM's prompt encoder and mask decoder on the maps of a vision tower."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn

from lisa.models.segmenters.config import SegmenterConfig
from lisa.models.segmenters.contract import (
    MaskPrompts,
    SegmenterFeatures,
    register_segmenter,
)
from lisa.models.segmenters.mask_decoder import MaskDecoder
from lisa.models.segmenters.prompt_encoder import PromptEncoder
from lisa.models.segmenters.promptable import PromptableSegmenter
from lisa.models.segmenters.residual import ResidualBlock

_DRAWN = 4.0
"""What a drawn prompt says inside (and, negated, outside): a probability of 98 %."""

_DILATIONS = (1, 2, 4, 1)
"""Of the neck's residual blocks, in cells of the grid."""

_SPOT = 6.0
"""Radius of a drawn click in pixels of the frame."""


@dataclass(frozen=True)
class TrunkSamConfig(SegmenterConfig):
    """Sizes of :class:`TrunkSamSegmenter`.

    Attributes:
        image_size: Side S of the square frame in pixels.
        skip_channels: Channels of the vision tower's two finest maps, fine to coarse; their sides
            are four and two times that of the grid.
        channels: Channels of its other maps, fine to coarse.
        grid_side: Side of the finest of those, which is the grid of the features.
        prompt_dim: Width C of features and prompts.
        decoder_mlp_dim: Hidden width of the decoder's MLPs.
        mask_in_channels: Hidden channels of the mask-prompt encoder.
        refine_dilations: Of the residual blocks between the two upscalings of the mask decoder, in
            cells of twice the grid's side; none as in SAM.
    """

    kind: ClassVar[str] = "trunk_sam"

    image_size: int = 256
    skip_channels: tuple[int, int] = (16, 24)
    channels: tuple[int, ...] = (48, 120, 352)
    grid_side: int = 32
    prompt_dim: int = 128
    decoder_mlp_dim: int = 512
    mask_in_channels: int = 16
    refine_dilations: tuple[int, ...] = ()


class Neck(nn.Module):
    """Joins maps of several strides on the grid of the finest one."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        """Create one 1 x 1 convolution a map, and residual blocks that mix neighbours.

        What things are stands in the coarse maps and where they end in the fine ones: with growing
        dilation the blocks carry the one to the other across a whole object.

        Args:
            channels: Of the maps, fine to coarse.
            width: Of the result.
        """
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.norm = LayerNorm2d(width)
        self.blocks = nn.Sequential(*(ResidualBlock(width, one) for one in _DILATIONS))
        self.out_norm = LayerNorm2d(width)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Join maps (B, channels, h_i, w_i), fine to coarse, to (B, width, h_0, w_0)."""
        size = maps[0].shape[-2:]
        total = self.lateral[0](maps[0])
        for project, one in zip(self.lateral[1:], maps[1:], strict=True):
            total = total + F.interpolate(project(one), size, mode="bilinear", align_corners=False)
        return cast(Tensor, self.out_norm(self.blocks(self.norm(total))))


class Skips(nn.Module):
    """Prepares the two finest maps for the upscalings of the mask decoder.

    The grid is too coarse for borders: masks of small things that come from it alone cannot be
    right, however well the thing was found.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        """Create two convolutions a map, once a picture and not once a prompt.

        Args:
            channels: Of the two maps, fine to coarse.
            width: Width C of the embedding.
        """
        super().__init__()
        fine, coarse = channels
        self.coarse = self._block(coarse, width // 4)
        self.fine = self._block(fine, width // 8)

    @staticmethod
    def _block(channels: int, width: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(channels, width, 1), nn.GELU(), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Turn maps (B, channels, 4h, 4w) and (B, channels, 2h, 2w) into what upscalings add."""
        fine, coarse = maps
        return self.coarse(coarse), self.fine(fine)


@register_segmenter
class TrunkSamSegmenter(PromptableSegmenter):
    """SAM with the backbone's vision tower in the place of its image encoder."""

    config_class = TrunkSamConfig
    source: ClassVar[Literal["pixels", "vision_tower"]] = "vision_tower"
    config: TrunkSamConfig

    def __init__(self, config: TrunkSamConfig) -> None:
        """Build all parts with fresh weights."""
        super().__init__(config)
        self.image_size = config.image_size
        self.prompt_dim = config.prompt_dim
        self.grid = (config.grid_side, config.grid_side)
        self.skips = Skips(config.skip_channels, config.prompt_dim)
        self.neck = Neck(config.channels, config.prompt_dim)
        self.prompt_encoder = PromptEncoder(
            embed_dim=config.prompt_dim,
            image_embedding_size=self.grid,
            input_image_size=(config.image_size, config.image_size),
            mask_in_chans=config.mask_in_channels,
        )
        self.mask_decoder = MaskDecoder(
            config.prompt_dim,
            mlp_dim=config.decoder_mlp_dim,
            iou_head_hidden_dim=config.prompt_dim,
            refine_dilations=config.refine_dilations,
        )

    def encode(self, inputs: Sequence[Tensor]) -> SegmenterFeatures:
        """Join the hidden states of B pictures.

        Args:
            inputs: Per stage (B, h * w, channels), fine to coarse, as
                `lisa.models.trunk.TrunkModel` returns them.
        """
        maps = []
        for states in inputs:
            side = math.isqrt(states.shape[1])
            maps.append(states.transpose(1, 2).unflatten(2, (side, side)))
        finest = len(self.config.skip_channels)
        return SegmenterFeatures(self.neck(maps[finest:]), self.skips(maps[:finest]))

    @property
    def feature_values(self) -> int:
        """How many numbers the features of one picture have, those of both skips included."""
        # Twice the side at a quarter of the width, and four times at an eighth.
        return super().feature_values * (1 + 1 + 2)

    def complete(
        self, prompts: MaskPrompts, features: SegmenterFeatures, image_index: Tensor
    ) -> MaskPrompts:
        """Draw points and boxes as a mask prompt too.

        A small decoder takes far longer to learn what coordinates mean than to read a map.
        """
        undrawn = prompts.masks is None and prompts.dense is None
        pointed = prompts.points is not None or prompts.boxes is not None
        if not (undrawn and pointed):
            return prompts
        prompts.check(image_index.shape[0], self.prompt_dim, self.grid)
        image = features.select(image_index).embedding
        # In float32, where a pixel of the frame is still a pixel.
        return replace(prompts, masks=self._draw(image.float(), prompts).to(image.dtype))

    def _draw(self, image: Tensor, prompts: MaskPrompts) -> Tensor:
        """Draw points and boxes as maps (N, 1, 4h, 4w) of about the range of logits."""
        side = 4 * self.grid[0]
        stride = self.image_size / side
        centres = (torch.arange(side, device=image.device, dtype=image.dtype) + 0.5) * stride
        x, y = centres[None, None, :], centres[None, :, None]
        drawn = image.new_zeros(image.shape[0], side, side)
        if prompts.boxes is not None:
            left, top, right, bottom = prompts.boxes.to(image.dtype)[:, :, None, None].unbind(1)
            inside = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
            drawn = drawn + torch.where(inside, _DRAWN, -_DRAWN)
        if prompts.points is not None and prompts.point_labels is not None:
            likeness = self._likeness(image, prompts.points.to(image.dtype))  # (N, P, h, w)
            likeness = F.interpolate(likeness, (side, side), mode="bilinear", align_corners=False)
            px, py = prompts.points.to(image.dtype)[..., None, None].unbind(2)
            near = torch.exp(-((x[:, None] - px) ** 2 + (y[:, None] - py) ** 2) / (2 * _SPOT**2))
            label = prompts.point_labels[..., None, None]
            spots = _DRAWN * (likeness + near)
            least = torch.full_like(spots, -_DRAWN)
            drawn = drawn + torch.where(label == 1, spots, least).amax(dim=1)
            drawn = drawn - torch.where(label == 0, _DRAWN * near, 0 * near).amax(dim=1)
        return drawn.unsqueeze(1)

    def _likeness(self, image: Tensor, points: Tensor) -> Tensor:
        """Cosine of every cell's features with those under each point: (N, P, h, w)."""
        normed = F.normalize(image, dim=1)
        places = (2 * points / self.image_size - 1).unsqueeze(1)  # (N, 1, P, 2), x before y
        under = F.grid_sample(normed, places, align_corners=False)[:, :, 0]  # (N, C, P)
        return torch.einsum("ncp,nchw->nphw", F.normalize(under, dim=1), normed)
