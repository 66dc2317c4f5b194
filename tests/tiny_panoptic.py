"""Folders of tiny random panoptic models, real in every part."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import cos, sin
from pathlib import Path

import torch
from torch import nn
from transformers import (
    CLIPTokenizer,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    Mask2FormerImageProcessorPil,
    OneFormerConfig,
    OneFormerForUniversalSegmentation,
    OneFormerImageProcessorPil,
    OneFormerProcessor,
    SwinConfig,
)

WIDTH = 32
"""Of the map of mask features."""


def _swin() -> SwinConfig:
    return SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )


def write_mask2former(folder: Path, classes: Sequence[str]) -> Path:
    """Write a Mask2Former that finds three segments, of classes 0, 1 and 3, in random pictures.

    Its backbone and pixel decoder are random. The queries are not: what they see changes nothing,
    and each takes the pixels whose features lie in a direction of its own.
    """
    config = Mask2FormerConfig(
        backbone_config=_swin(),
        feature_size=WIDTH,
        mask_feature_size=WIDTH,
        hidden_dim=WIDTH,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=4,
        id2label=dict(enumerate(classes)),
    )
    torch.manual_seed(0)
    model = Mask2FormerForUniversalSegmentation(config)
    _choose_queries(model)
    model.save_pretrained(folder)
    size = {"height": 64, "width": 64}
    Mask2FormerImageProcessorPil(size=size).save_pretrained(folder)
    return folder


@torch.no_grad()
def _choose_queries(model: Mask2FormerForUniversalSegmentation) -> None:
    module = model.model.transformer_module
    for name, value in module.decoder.layers.named_parameters():
        if "norm" not in name:
            value.zero_()
    module.queries_features.weight.copy_(torch.eye(len(module.queries_features.weight), WIDTH))
    linear = [m for m in module.decoder.mask_predictor.modules() if isinstance(m, nn.Linear)]
    for layer in linear:
        layer.weight.copy_(torch.eye(WIDTH))
        layer.bias.zero_()
    # One channel of the features is 1 everywhere, so that a query can ask for a least length.
    projection = model.model.pixel_level_module.decoder.mask_projection
    projection.weight[0], projection.bias[0] = 0, 1
    projection.bias[1:3] -= 0.06  # about their mean
    linear[-1].weight[:, :3] = 0
    for query, angle in enumerate((0.0, 2.1, 4.2)):
        linear[-1].weight[:3, query] = torch.tensor([-0.9, 15 * cos(angle), 15 * sin(angle)])
    model.class_predictor.weight.zero_()
    model.class_predictor.bias.zero_()
    for query, number in enumerate((0, 1, 3, -1)):
        model.class_predictor.weight[number, query] = 9


def write_oneformer(folder: Path, classes: Sequence[str]) -> Path:
    """Write a OneFormer that finds one segment, of class 2; all else is random."""
    config = OneFormerConfig(
        backbone_config=_swin(),
        num_queries=1,
        task_seq_len=8,
        conv_dim=WIDTH,
        mask_dim=WIDTH,
        hidden_dim=WIDTH,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        query_dec_layers=1,
        id2label=dict(enumerate(classes)),
    )
    torch.manual_seed(0)
    model = OneFormerForUniversalSegmentation(config)
    with torch.no_grad():
        model.model.transformer_module.decoder.class_embed.bias[2] = 99.0
    model.save_pretrained(folder)
    letters = [chr(number) for number in range(ord("a"), ord("z") + 1)]
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{one}</w>" for one in letters)]
    pixels = OneFormerImageProcessorPil(size={"height": 64, "width": 64}, num_text=1)
    tokenizer = CLIPTokenizer(vocab={one: n for n, one in enumerate(tokens)}, merges=[])
    OneFormerProcessor(pixels, tokenizer, 8, 8).save_pretrained(folder)
    # Released ones name a file of class names on the hub, which only training needs.
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            written = json.loads((folder / name).read_text())
            written.get("image_processor", written)["class_info_file"] = "coco_panoptic.json"
            (folder / name).write_text(json.dumps(written))
    return folder
