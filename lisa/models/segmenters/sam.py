"""SAM: the segmenter of the released LISA checkpoints."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from lisa.models.segmenters.config import SamConfig
from lisa.models.segmenters.contract import SegmenterFeatures, register_segmenter
from lisa.models.segmenters.image_encoder import ImageEncoder
from lisa.models.segmenters.mask_decoder import MaskDecoder
from lisa.models.segmenters.prompt_encoder import PromptEncoder
from lisa.models.segmenters.promptable import PromptableSegmenter


@register_segmenter
class SamSegmenter(PromptableSegmenter):
    """Meta's Segment Anything model; its state dict has the keys of Meta's checkpoints."""

    config_class: ClassVar[type[SamConfig]] = SamConfig
    source: ClassVar[Literal["pixels", "vision_tower"]] = "pixels"

    def __init__(self, config: SamConfig) -> None:
        """Build the three parts with fresh weights."""
        super().__init__(config)
        grid = (config.grid_size, config.grid_size)
        self.image_size = config.image_size
        self.prompt_dim = config.prompt_dim
        self.grid = grid
        self.image_encoder = ImageEncoder(
            image_size=config.image_size,
            patch_size=config.patch_size,
            embed_dim=config.embed_dim,
            depth=config.depth,
            num_heads=config.num_heads,
            mlp_dim=config.encoder_mlp_dim,
            out_dim=config.prompt_dim,
            window_size=config.window_size,
            global_attn_indexes=config.global_attn_indexes,
        )
        self.prompt_encoder = PromptEncoder(
            embed_dim=config.prompt_dim,
            image_embedding_size=grid,
            input_image_size=(config.image_size, config.image_size),
            mask_in_chans=config.mask_in_chans,
        )
        self.mask_decoder = MaskDecoder(
            embed_dim=config.prompt_dim,
            depth=config.decoder_depth,
            num_heads=config.decoder_heads,
            mlp_dim=config.decoder_mlp_dim,
            num_multimask_outputs=config.num_multimask_outputs,
            iou_head_depth=config.iou_head_depth,
            iou_head_hidden_dim=config.iou_head_hidden_dim,
        )

    def encode(self, inputs: Tensor) -> SegmenterFeatures:
        """Encode normalised, padded pixels (B, 3, S, S) of any floating dtype.

        Raises:
            ImageError: If the pixels do not have that shape.
        """
        dtype = self.image_encoder.pos_embed.dtype
        return SegmenterFeatures(self.image_encoder(inputs.to(dtype)))
