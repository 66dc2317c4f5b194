"""A tiny model of nano's make-up: convolutional trunk, tied embeddings, similarity head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import LlamaConfig, LlavaConfig

from lisa.data.scenes import CutoutLibrary
from lisa.models import LisaConfig, LisaModel, TrunkConfig
from lisa.models.segmenters.trunk_sam import TrunkSamConfig
from lisa.processor import LisaProcessor, ProcessorSettings
from lisa.transforms import SegmenterTransform
from tests.tiny import IMAGE_ID, REJECT_ID, SEG_ID, VOCABULARY, tiny_tokenizer

ARCHITECTURE = "test_efficientnet"
SKIP_CHANNELS = (16, 24)
CHANNELS = (32, 48, 64)
MAPS = (*SKIP_CHANNELS, *CHANNELS)
LAYERS = 2
NEW_ROWS = 2
BASE = {"package": "none", "requirement": "none", "file": "none", "sha256": "", "lora_scale": 2.0}


def nano_config(image_size: int = 64) -> LisaConfig:
    """Configuration of the tiny model; its base language model is nowhere to be found."""
    text = LlamaConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=VOCABULARY,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    backbone = LlavaConfig(
        text_config=text,
        vision_config=TrunkConfig(
            architecture=ARCHITECTURE, image_size=image_size, hidden_size=CHANNELS[-1]
        ),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_seq_length=(image_size // 32) ** 2,
        tie_word_embeddings=True,
    )
    segmenter = TrunkSamConfig(
        image_size=image_size,
        skip_channels=SKIP_CHANNELS,
        channels=CHANNELS,
        grid_side=image_size // 8,
        prompt_dim=16,
        decoder_mlp_dim=24,
        mask_in_channels=8,
    )
    return LisaConfig(
        backbone_config=backbone,
        segmenter_config=segmenter.to_dict(),
        image_token_id=IMAGE_ID,
        seg_token_id=SEG_ID,
        reject_token_id=REJECT_ID,
        prompt_head="similarity",
        trainable="nano",
        base_language_model=BASE,
    )


def nano_model(image_size: int = 64, seed: int = 0) -> LisaModel:
    """The tiny model with random weights, so large that inputs matter."""
    torch.manual_seed(seed)
    model = LisaModel(nano_config(image_size)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name and "vision_tower" not in name and parameter.ndim > 1:
                parameter.normal_(std=0.3)
    return model


def nano_processor(image_size: int = 64, template: str = "chatml") -> LisaProcessor:
    """The processor of the tiny model: the backbone sees the segmenter's frame."""
    settings = ProcessorSettings(template, (image_size // 32) ** 2, IMAGE_ID, 2048)
    half = (127.5, 127.5, 127.5)
    return LisaProcessor(tiny_tokenizer(), SegmenterTransform(image_size, half, half), settings)


def encode(model: LisaModel, processor: LisaProcessor, pictures: list[Image.Image]) -> list:
    """Encode pictures with a model."""
    inputs = processor.encode_images(pictures)
    with torch.no_grad():
        return model.encode_images(
            inputs.pixel_values,
            original_sizes=inputs.original_sizes,
            resized_sizes=inputs.resized_sizes,
        )


def write_cutouts(root: Path, paths: Iterable[str]) -> None:
    """Write a coloured ellipse on a transparent ground to each path under `root`."""
    rows, columns = np.mgrid[:48, :64]
    inside = ((rows - 24) / 22) ** 2 + ((columns - 32) / 30) ** 2 < 1
    for number, path in enumerate(paths):
        pixels = np.zeros((48, 64, 4), np.uint8)
        pixels[inside] = (*np.random.default_rng(number).integers(0, 256, 3), 255)
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / path)


def library(root: Path, files: Mapping[str, Iterable[str]]) -> CutoutLibrary:
    """Write the cut-outs of `files` and open them."""
    named = {name: tuple(paths) for name, paths in files.items()}
    write_cutouts(root, [path for paths in named.values() for path in paths])
    return CutoutLibrary(root, named)
