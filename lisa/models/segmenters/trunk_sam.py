"""A small segmenter: SAM's prompt encoder and mask decoder on the maps of a vision tower."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn

from lisa.models.segmenters.config import SegmenterConfig
from lisa.models.segmenters.contract import (
    MaskOutputs,
    MaskPrompts,
    SegmenterFeatures,
    register_segmenter,
)
from lisa.models.segmenters.mask_decoder import MaskDecoder
from lisa.models.segmenters.prompt_encoder import PromptEncoder
from lisa.models.segmenters.promptable import PromptableSegmenter

_DRAWN = 4.0
"""What a drawn prompt says inside (and, negated, outside): a probability of 98 %."""

_SPOT = 6.0
"""Radius of a drawn click in pixels of the frame."""


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

    def decode(
        self,
        features: SegmenterFeatures,
        image_index: Tensor,
        prompts: MaskPrompts,
        *,
        multimask: bool = False,
    ) -> MaskOutputs:
        """Decode N prompts; see :meth:`Segmenter.decode`.

        Points and boxes are drawn as a mask prompt too: a small decoder takes far longer to learn
        what coordinates mean than to read a map.
        """
        undrawn = prompts.masks is None and prompts.dense is None
        pointed = prompts.points is not None or prompts.boxes is not None
        if undrawn and pointed:
            prompts.check(image_index.shape[0], self.prompt_dim, self.grid)
            image = features.select(image_index).embedding
            # In float32, where a pixel of the frame is still a pixel.
            prompts = replace(prompts, masks=self._draw(image.float(), prompts).to(image.dtype))
        return super().decode(features, image_index, prompts, multimask=multimask)

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
