"""Segmenters: a contract, and the models that fulfil it.

To add one: write a configuration class and a ``Segmenter`` with ``@register_segmenter``, and
import it here.
"""

from lisa.models.segmenters.checkpoint_sizes import sam_config_from_state_dict
from lisa.models.segmenters.config import PRESETS, SamConfig, SegmenterConfig
from lisa.models.segmenters.contract import (
    SEGMENTERS,
    MaskOutputs,
    MaskPrompts,
    Segmenter,
    SegmenterFeatures,
    build_segmenter,
    register_segmenter,
    segmenter_config,
)
from lisa.models.segmenters.picture import PromptablePicture
from lisa.models.segmenters.promptable import PromptableSegmenter
from lisa.models.segmenters.sam import SamSegmenter
from lisa.models.segmenters.trunk_sam import TrunkSamConfig, TrunkSamSegmenter

__all__ = [
    "PRESETS",
    "SEGMENTERS",
    "MaskOutputs",
    "MaskPrompts",
    "PromptablePicture",
    "PromptableSegmenter",
    "SamConfig",
    "SamSegmenter",
    "Segmenter",
    "SegmenterConfig",
    "SegmenterFeatures",
    "TrunkSamConfig",
    "TrunkSamSegmenter",
    "build_segmenter",
    "register_segmenter",
    "sam_config_from_state_dict",
    "segmenter_config",
]
