"""A relation model of a few thousand random weights."""

from __future__ import annotations

import numpy as np
import torch

from lisa.masks import mask_to_box
from lisa.relations import RelationConfig, RelationModel, RelationPredictor
from lisa.relations.classed_model import ClassedRelationConfig, ClassedRelationModel
from lisa.types import Segment

PREDICATES = ("on", "under", "beside")
CONFIG = RelationConfig(
    predicates=PREDICATES,
    feature_size=16,
    hidden_size=24,
    num_heads=2,
    intermediate_size=32,
    class_size=8,
    vocabulary_size=1,
    num_positions=2,
    num_types=1,
)


CLASSES = ("person", "dog", "bench", "grass", "sky")


def tiny_predictor(config: RelationConfig = CONFIG, seed: int = 0) -> RelationPredictor:
    """Every weight is random and large enough for inputs to matter."""
    torch.manual_seed(seed)
    model = RelationModel(config)
    _enlarge(model)
    return RelationPredictor(model)


def tiny_classed_model(config: RelationConfig = CONFIG, panoptic: str = "") -> ClassedRelationModel:
    """The same for things with classes."""
    torch.manual_seed(0)
    model = ClassedRelationModel(ClassedRelationConfig(CLASSES, config, panoptic))
    _enlarge(model)
    return model.eval()


@torch.no_grad()
def _enlarge(model: torch.nn.Module) -> None:
    for value in model.parameters():
        if value.ndim > 1:
            value.normal_(std=0.3)


def squares(count: int, side: int = 12) -> list[Segment]:
    """Segments that are easy to tell apart: each one a row of pixels longer."""
    found = []
    for number in range(count):
        mask = np.zeros((side, side), bool)
        mask[: number + 1, number % side] = True
        found.append(Segment(mask, mask_to_box(mask), 0.5, "found", None, (0, 0)))
    return found
