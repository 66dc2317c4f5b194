"""A SAM of a few thousand random weights, ours and Meta's alike."""

from __future__ import annotations

from functools import partial

import torch
from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)

from lisa.models.segmenters import SamConfig, SamSegmenter

CONFIG = SamConfig(
    embed_dim=24,
    depth=3,
    num_heads=3,
    encoder_mlp_dim=96,
    global_attn_indexes=(1,),
    image_size=112,
    window_size=4,
    prompt_dim=32,
    decoder_mlp_dim=48,
    iou_head_hidden_dim=40,
)


def tiny_sam(config: SamConfig = CONFIG, seed: int = 0) -> SamSegmenter:
    """Build ours; every weight is random, those that start as zero or one included."""
    sam = SamSegmenter(config).eval()
    randomise(sam, seed)
    return sam


def randomise(module: torch.nn.Module, seed: int) -> None:
    """Overwrite all weights; norms stay near one so that values keep their size."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.named_parameters():
            noise = torch.randn(value.shape, generator=generator)
            is_scale = value.ndim == 1 and name.endswith("weight")
            value.copy_(1 + 0.1 * noise if is_scale else 0.2 * noise)


def meta_sam(ours: SamSegmenter) -> Sam:
    """Build Meta's model with our weights: the oracle."""
    config = ours.config
    assert isinstance(config, SamConfig)
    grid, frame = ours.grid, (config.image_size, config.image_size)
    encoder = ImageEncoderViT(
        img_size=config.image_size,
        patch_size=config.patch_size,
        embed_dim=config.embed_dim,
        depth=config.depth,
        num_heads=config.num_heads,
        mlp_ratio=config.encoder_mlp_dim / config.embed_dim,
        out_chans=config.prompt_dim,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=config.window_size,
        global_attn_indexes=config.global_attn_indexes,
    )
    transformer = TwoWayTransformer(
        depth=config.decoder_depth,
        embedding_dim=config.prompt_dim,
        num_heads=config.decoder_heads,
        mlp_dim=config.decoder_mlp_dim,
    )
    decoder = MaskDecoder(
        transformer_dim=config.prompt_dim,
        transformer=transformer,
        iou_head_hidden_dim=config.iou_head_hidden_dim,
    )
    prompts = PromptEncoder(config.prompt_dim, grid, frame, config.mask_in_chans)
    sam = Sam(encoder, prompts, decoder).eval()
    sam.load_state_dict(ours.state_dict(), strict=True)
    return sam
