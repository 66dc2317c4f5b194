"""A LISA of published layout, so small that it answers in milliseconds."""

from __future__ import annotations

import torch

from lisa.released.config import PartTypes
from lisa.released.random_model import ModelSizes, language_sizes, vision_sizes
from tests.unit.segmenters import tiny_sam

TINY = ModelSizes(
    language_sizes(64, 96, 2, 2, 300),
    vision_sizes(16, 24, 3, 2, image_size=28),
    tiny_sam.CONFIG,
    PartTypes(torch.float32, torch.float32),
)
