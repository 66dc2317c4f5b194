"""A small segmenter: SAM's prompt encoder and mask decoder on the maps of the backbone's vision tower."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch.nn.functional as F
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn

from lisa.models.segmenters.config import SegmenterConfig
from lisa.models.segmenters.contract import SegmenterFeatures, register_segmenter
from lisa.models.segmenters.mask_decoder import MaskDecoder
from lisa.models.segmenters.promptable import PromptableSegmenter
from lisa.models.segmenters.prompt_encoder import PromptEncoder


@dataclass(frozen=True)
class TrunkSamConfig(SegmenterConfig):
    """Sizes of :class:`TrunkSamSegmenter`.

    Attributes:
        image_size: Side S of the square frame in pixels.
        channels: Channels of the vision tower's maps, fine to coarse.
        grid_side: Side of the finest map, which is the grid of the features.
        prompt_dim: Width C of features and prompts.
        decoder_mlp_dim: Hidden width of the decoder's MLPs.
        mask_in_channels: Hidden channels of the mask-prompt encoder.
    """

    kind: ClassVar[str] = "trunk_sam"

    image_size: int = 256
    channels: tuple[int, ...] = (48, 120, 352)
    grid_side: int = 32
    prompt_dim: int = 128
    decoder_mlp_dim: int = 512
    mask_in_channels: int = 16


class Neck(nn.Module):
    """Joins maps of several strides on the grid of the finest one."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        """Create one 1 x 1 convolution a map and a residual block that mixes neighbours.

        Args:
            channels: Of the maps, fine to coarse.
            width: Of the result.
        """
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.norm = LayerNorm2d(width)
        self.mix = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.GELU(), nn.Conv2d(width, width, 3, padding=1)
        )
        self.out_norm = LayerNorm2d(width)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Join maps (B, channels, h_i, w_i), fine to coarse, to (B, width, h_0, w_0)."""
        size = maps[0].shape[-2:]
        total = self.lateral[0](maps[0])
        for project, one in zip(self.lateral[1:], maps[1:], strict=True):
            total = total + F.interpolate(project(one), size, mode="bilinear", align_corners=False)
        normed = self.norm(total)
        joined: Tensor = self.out_norm(normed + self.mix(normed))
        return joined


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
        )

    def encode(self, inputs: Sequence[Tensor]) -> SegmenterFeatures:
        """Join the hidden states of B pictures.

        Args:
            inputs: Per stage (B, h * w, channels), as `lisa.models.trunk.TrunkModel` returns them.
        """
        maps = []
        for states in inputs:
            side = math.isqrt(states.shape[1])
            maps.append(states.transpose(1, 2).unflatten(2, (side, side)))
        return SegmenterFeatures(self.neck(maps))
