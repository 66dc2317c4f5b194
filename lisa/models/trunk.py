"""A convolutional trunk of timm as a vision tower: its feature maps are the hidden states.

LLaVA projects the last (coarsest) map to image tokens; a segmenter with `source = "vision_tower"`
reads all of them, so one pass over the picture feeds both.
"""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput


class TrunkConfig(PreTrainedConfig):
    """Configuration of :class:`TrunkModel`.

    Attributes:
        architecture: Name of a timm model that gives feature maps.
        image_size: Side of the square input in pixels.
        stages: Indices of the feature maps, fine to coarse.
        hidden_size: Channels of the coarsest map.
    """

    model_type = "timm_trunk"

    architecture: str = "tf_efficientnet_lite2"
    image_size: int = 256
    stages: tuple[int, ...] | list[int] = (0, 1, 2, 3, 4)
    hidden_size: int = 352


class TrunkModel(PreTrainedModel):
    """Feature maps of a picture as token sequences.

    Attributes:
        memory_format: Of what convolutions see. Channels last, they are up to a half faster on CPUs
            (docs/speed.md), and the sequences are views.
    """

    memory_format = torch.channels_last
    config: TrunkConfig
    config_class = TrunkConfig
    main_input_name = "pixel_values"
    base_model_prefix = "trunk"
    # A segmenter reads the maps, too: rounded to bfloat16 they cost masks 3 % (docs/speed.md).
    _keep_in_fp32_modules_strict = {"trunk"}

    def __init__(self, config: TrunkConfig) -> None:
        """Build the timm model with fresh weights."""
        super().__init__(config)
        self.trunk = timm.create_model(
            config.architecture, features_only=True, out_indices=tuple(config.stages)
        )
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: Any) -> None:
        """Leave timm's initialisation as it is."""

    def forward(self, pixel_values: Tensor, **kwargs: Any) -> BaseModelOutput:
        """Compute all maps.

        Args:
            pixel_values: (B, 3, S, S) in [-1, 1].
            **kwargs: Output options of transformers; every map is always returned.

        Returns:
            `hidden_states`: per stage (B, h * w, channels), rows of the map one after the other.
        """
        maps = self.trunk(pixel_values.contiguous(memory_format=self.memory_format))
        states = tuple(one.flatten(2).transpose(1, 2) for one in maps)
        return BaseModelOutput(last_hidden_state=states[-1], hidden_states=states)


AutoConfig.register("timm_trunk", TrunkConfig)
AutoModel.register(TrunkConfig, TrunkModel)
