"""Tags of everything in a picture, and captions: Recognize Anything, its successor, and Tag2Text.

Weights come from the released files or from folders of ours. Lists of tags and thresholds are other
people's files and not part of this project; see :mod:`lisa.tagging.tags`.
"""

from lisa.tagging.captioner import BeamSearch, Caption, Captioner, NucleusSampling
from lisa.tagging.checkpoint import find_files, load_model
from lisa.tagging.config import SwinSizes, TaggingConfig, TextSizes, TrunkSizes
from lisa.tagging.losses import asymmetric_loss
from lisa.tagging.models import build_model
from lisa.tagging.tagger import Tagger
from lisa.tagging.tags import Tag, TagInfo, join_names
from lisa.tagging.vocabulary import TextEncoder

__all__ = [
    "BeamSearch",
    "Caption",
    "Captioner",
    "NucleusSampling",
    "SwinSizes",
    "Tag",
    "TagInfo",
    "Tagger",
    "TaggingConfig",
    "TextEncoder",
    "TextSizes",
    "TrunkSizes",
    "asymmetric_loss",
    "build_model",
    "find_files",
    "join_names",
    "load_model",
]
