"""The relation transformer in Relate-Anything's key names: mask tokens in, pair scores out.

It is the relation head of GRNet (Wang et al. 2023, arXiv 2302.02651): tokens see each other in a
BERT encoder, then every predicate compares each of them as subject with each as object. No place in
the sequence means anything, so a permutation of the masks permutes the scores and no more.

A model may also read how the two masks of a pair lie to each other, which tokens say vaguely; what
it makes of that is added to the pair's scores. Released weights have no such part.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from lisa.errors import DataError
from lisa.relations.config import RelationConfig
from lisa.relations.geometry import GEOMETRY_SIZE


class RelationModel(nn.Module):
    """Scores every predicate between every pair of masks.

    Attributes:
        config: What it was built from.
    """

    def __init__(self, config: RelationConfig) -> None:
        """Build it with fresh weights."""
        super().__init__()
        self.config = config
        width, comparisons = config.hidden_size, config.class_size * len(config.predicates)
        self.fc_input = nn.Sequential(nn.Linear(config.feature_size, width), nn.LayerNorm(width))
        self.model = BertModel(_bert_config(config))
        self.fc_output = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))
        self.cls_sub = nn.Linear(width, comparisons)
        self.cls_obj = nn.Linear(width, comparisons)
        self.geometry = _geometry_part(config) if config.geometry_size else None

    def forward(
        self, features: Tensor, is_mask: Tensor | None = None, geometry: Tensor | None = None
    ) -> Tensor:
        """Score all pairs of masks of B pictures.

        Args:
            features: (B, N, C) mask tokens; N may be 0.
            is_mask: bool (B, N), False for padding, which no mask then sees; None for no padding.
            geometry: (B, N, N, G) of subject and object, see `pair_geometry`; given if and only if
                the configuration has a part that reads it.

        Returns:
            (B, R, N, N) logits of predicate, subject, object. Those of padding and of a mask with
            itself mean nothing.

        Raises:
            DataError: If the features have another shape, or the geometry is missing or too much.
        """
        if features.ndim != 3 or features.shape[-1] != self.config.feature_size:
            raise DataError(
                f"Mask features have shape {tuple(features.shape)}, this relation model reads "
                f"(pictures, masks, {self.config.feature_size}): take the mask tokens of the "
                "segmenter that it was trained with."
            )
        if (geometry is None) != (self.geometry is None):
            fault = "needs the geometry of each pair" if self.geometry else "reads no geometry"
            raise DataError(f"This relation model {fault}: see lisa.relations.geometry.")
        batch, count, _ = features.shape
        if not batch * count:
            # Attention has nothing to attend to.
            return features.new_zeros(batch, len(self.config.predicates), count, count)
        # Row 1 for every mask, as in training: the order of masks must not matter.
        positions = torch.ones(batch, count, dtype=torch.long, device=features.device)
        states = self.model(
            inputs_embeds=self.fc_input(features),
            position_ids=positions,
            attention_mask=None if is_mask is None else is_mask.long(),
        ).last_hidden_state
        states = self.fc_output(states)
        subjects, objects = (
            layer(states).unflatten(2, (len(self.config.predicates), -1)).transpose(1, 2)
            for layer in (self.cls_sub, self.cls_obj)
        )  # (B, R, N, class_size)
        scores: Tensor = subjects @ objects.transpose(2, 3) / math.sqrt(self.config.class_size)
        if self.geometry is not None:
            scores = scores + self.geometry(geometry).permute(0, 3, 1, 2)
        return scores


def _geometry_part(config: RelationConfig) -> nn.Sequential:
    width = config.geometry_size
    return nn.Sequential(
        nn.Linear(GEOMETRY_SIZE, width),
        nn.GELU(),
        nn.Linear(width, width),
        nn.GELU(),
        nn.Linear(width, len(config.predicates)),
    )


def _bert_config(config: RelationConfig) -> BertConfig:
    return BertConfig(
        vocab_size=config.vocabulary_size,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        intermediate_size=config.intermediate_size,
        max_position_embeddings=config.num_positions,
        type_vocab_size=config.num_types,
    )
