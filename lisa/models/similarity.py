"""Prompt head "similarity": where the picture resembles the `[SEG]` state becomes a dense prompt.

State and picture features are projected to one space; their cosine, a map on the feature grid, is
added to the dense prompt and trained towards the mask by a loss of its own. The idea is that of
READ (Qian et al. 2024, "Reasoning to Attend") and UGround, which turn such a map into points and
mask prompts.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lisa.models.prompt_heads import PromptHead, register_prompt_head
from lisa.models.segmenters import MaskPrompts, SegmenterFeatures

_WIDTH = 96
_SCALE = 10.0
_BIAS = -2.0


@register_prompt_head("similarity")
class SimilarityPromptHead(PromptHead):
    """The embedding as a sparse prompt, and a similarity map as a dense one."""

    def __init__(self, language_width: int, prompt_dim: int, grid: tuple[int, int]) -> None:
        """Create the projections; sizes as :class:`PromptHead` takes them."""
        super().__init__(language_width, prompt_dim, grid)
        self.query = nn.Sequential(
            nn.LayerNorm(language_width),
            nn.Linear(language_width, 2 * _WIDTH),
            nn.GELU(),
            nn.Linear(2 * _WIDTH, _WIDTH),
        )
        self.key = nn.Sequential(
            nn.Conv2d(prompt_dim, 2 * _WIDTH, 1), nn.GELU(), nn.Conv2d(2 * _WIDTH, _WIDTH, 1)
        )
        # Cosines lie in [-1, 1]: scaled and shifted they become logits that can say yes and no, and
        # start with no, since most of a picture is not the thing asked for.
        self.scale = nn.Parameter(torch.tensor(_SCALE))
        self.bias = nn.Parameter(torch.tensor(_BIAS))
        self.no_map = nn.Parameter(torch.zeros(1, prompt_dim, 1, 1))
        self.dense = nn.Conv2d(2, prompt_dim, 1)

    def forward(
        self,
        states: Tensor,
        embeddings: Tensor,
        features: SegmenterFeatures,
        image_index: Tensor,
    ) -> tuple[MaskPrompts, Tensor | None]:
        """Make sparse (S, 1, C) and dense (S, C, h, w) prompts; auxiliary logits are the map."""
        query = F.normalize(self.query(states), dim=-1)  # (S, 96)
        keys = F.normalize(self.key(features.embedding), dim=1)  # (B, 96, h, w)
        cosine = torch.einsum("sc,schw->shw", query, keys[image_index]).unsqueeze(1)
        logits = self.scale * cosine + self.bias
        dense = self.no_map + self.dense(torch.cat([logits / _SCALE, logits.sigmoid()], dim=1))
        return MaskPrompts(sparse=embeddings.unsqueeze(1), dense=dense), logits
