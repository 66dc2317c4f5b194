"""Relations of things whose classes are known: the second stage of GRNet.

A thing is the mean of the panoptic model's mask features over it, plus a vector for its class
(Wang et al. 2023, arXiv 2302.02651). All things see each other in the relation
transformer, and with them one more token that sees the picture as a whole, so that what no segment
shows (weather, distance) counts too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from lisa.errors import ConfigError
from lisa.relations.config import RelationConfig
from lisa.relations.model import RelationModel
from lisa.relations.vocabulary import CLASSES


@dataclass(frozen=True)
class ClassedRelationConfig:
    """Sizes and names of :class:`ClassedRelationModel`.

    Attributes:
        classes: Names of the classes, in the order of their numbers.
        relations: Of the relation transformer; its `feature_size` is that of the panoptic model's
            mask features.
        panoptic: Hub id or folder of the panoptic model whose features it was trained on; empty if
            nobody said.
    """

    classes: tuple[str, ...] = CLASSES
    relations: RelationConfig = RelationConfig(vocabulary_size=1, num_positions=2, num_types=1)
    panoptic: str = ""

    def __post_init__(self) -> None:
        """Check the names."""
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ConfigError(
                "The classes of a relation model must be one or more different names."
            )
        if self.relations.geometry_size:
            raise ConfigError("Relations between classed things read no geometry: set it to 0.")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values that JSON can hold."""
        return {
            "classes": list(self.classes),
            "relations": self.relations.to_dict(),
            "panoptic": self.panoptic,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the configuration from what :meth:`to_dict` returned.

        Raises:
            ConfigError: If a key is unknown or missing, or a value cannot be.
        """
        if set(data) != {"classes", "relations", "panoptic"}:
            raise ConfigError(
                f"It has the keys {', '.join(sorted(map(str, data)))}, where classes, relations "
                "and panoptic were expected."
            )
        classes, relations = data["classes"], data["relations"]
        if not isinstance(classes, list) or not all(isinstance(one, str) for one in classes):
            raise ConfigError("Its classes are no list of names.")
        if not isinstance(relations, Mapping):
            raise ConfigError("Its relations are no settings.")
        return cls(tuple(classes), RelationConfig.from_dict(relations), str(data["panoptic"]))


class ClassedRelationModel(nn.Module):
    """Scores every predicate between every pair of classed segments.

    Attributes:
        config: What it was built from.
    """

    def __init__(self, config: ClassedRelationConfig) -> None:
        """Build it with fresh weights."""
        super().__init__()
        self.config = config
        width = config.relations.feature_size
        self.class_embedding = nn.Embedding(len(config.classes), width)
        self.picture_embedding = nn.Parameter(torch.zeros(width))
        self.relations = RelationModel(config.relations)

    def forward(
        self,
        features: Tensor,
        classes: Tensor,
        whole: Tensor,
        is_segment: Tensor | None = None,
    ) -> Tensor:
        """Score all pairs of segments of B pictures.

        Args:
            features: (B, N, C) mean features of the segments; N may be 0.
            classes: int (B, N) numbers of their classes; any number for padding.
            whole: (B, C) mean features of the pictures.
            is_segment: bool (B, N), False for padding; None for no padding.

        Returns:
            (B, R, N, N) logits of predicate, subject, object. Those of padding and of a segment
            with itself mean nothing.

        Raises:
            DataError: If the features have another width.
        """
        tokens = torch.cat(
            [
                (whole + self.picture_embedding)[:, None],
                features + self.class_embedding(classes),
            ],
            dim=1,
        )
        if is_segment is not None:
            is_segment = torch.cat([is_segment.new_ones(len(whole), 1), is_segment], dim=1)
        scores: Tensor = self.relations(tokens, is_segment)
        return scores[:, :, 1:, 1:]
