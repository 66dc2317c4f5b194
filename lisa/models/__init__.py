"""The model: configuration, backbone and segmenter side by side, losses, and what learns.

Importing this package registers LISA with transformers' Auto classes. A new prompt head, vision
tower or segmenter enters its registry when its file is imported: add that import here.
"""

from transformers import AutoConfig, AutoModel

from lisa.models.config import LisaConfig
from lisa.models.lisa_model import LisaModel
from lisa.models.losses import LisaLoss, LossSums, LossWeights, lisa_loss
from lisa.models.outputs import DecodedMasks, EncodedImage, GenerateOutput, LisaOutput
from lisa.models.projectors import PROJECTORS, register_projector
from lisa.models.prompt_heads import PROMPT_HEADS, PromptHead, register_prompt_head
from lisa.models.reading import Reading
from lisa.models.segmenters import SEGMENTERS, MaskPrompts, SegmenterFeatures
from lisa.models.similarity import SimilarityPromptHead
from lisa.models.trunk import TrunkConfig, TrunkModel

AutoConfig.register("lisa", LisaConfig)
AutoModel.register(LisaConfig, LisaModel)

__all__ = [
    "PROJECTORS",
    "PROMPT_HEADS",
    "SEGMENTERS",
    "DecodedMasks",
    "EncodedImage",
    "GenerateOutput",
    "LisaConfig",
    "LisaLoss",
    "LisaModel",
    "LisaOutput",
    "LossSums",
    "LossWeights",
    "MaskPrompts",
    "PromptHead",
    "Reading",
    "SegmenterFeatures",
    "SimilarityPromptHead",
    "TrunkConfig",
    "TrunkModel",
    "lisa_loss",
    "register_projector",
    "register_prompt_head",
]
