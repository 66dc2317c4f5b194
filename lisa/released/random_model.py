"""Models of published sizes with random weights, for measurements of speed and memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPVisionConfig

from lisa.models import LisaConfig, LisaModel
from lisa.models.segmenters import PRESETS, SegmenterConfig
from lisa.released.config import PartTypes, translate
from lisa.released.empty_model import build_empty
from lisa.released.loader import fill


def language_sizes(
    width: int, inner: int, layers: int, heads: int, vocabulary: int
) -> dict[str, Any]:
    """Return what a published `config.json` says of the language model."""
    return {
        **_transformer_sizes(width, inner, layers, heads),
        "vocab_size": vocabulary,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6,
    }


def vision_sizes(
    width: int, inner: int, layers: int, heads: int, image_size: int = 224
) -> dict[str, Any]:
    """Return arguments of `CLIPVisionConfig` for patches of 14 pixels."""
    return {
        **_transformer_sizes(width, inner, layers, heads),
        "image_size": image_size,
        "patch_size": 14,
    }


def _transformer_sizes(width: int, inner: int, layers: int, heads: int) -> dict[str, int]:
    return {
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
    }


@dataclass(frozen=True)
class ModelSizes:
    """Sizes of a model in the published layout.

    Attributes:
        language: The sizes in a published `config.json`; the last id is that of `[SEG]`.
        vision: Arguments of `CLIPVisionConfig`.
        segmenter: Configuration of SAM.
        types: Number types.
    """

    language: Mapping[str, Any]
    vision: Mapping[str, Any]
    segmenter: SegmenterConfig
    types: PartTypes

    def config(self) -> LisaConfig:
        """Return the configuration that a published checkpoint of these sizes has."""
        return translate(
            self.language,
            CLIPVisionConfig(**self.vision),
            projector="linear",
            segmenter=self.segmenter.to_dict(),
            seg_token_id=self.language["vocab_size"] - 1,
            reject_token_id=None,
            types=self.types,
        )


LISA_7B = ModelSizes(
    language_sizes(4096, 11008, 32, 32, 32004),
    vision_sizes(1024, 4096, 24, 16),
    PRESETS["sam_vit_h"],
    PartTypes(torch.bfloat16, torch.bfloat16),
)
"""Of Lai et al. 2023."""


def random_model(
    sizes: ModelSizes, device: torch.device, quantize: str | None = None, seed: int = 0
) -> LisaModel:
    """Build a model on a device, weight by weight: the host never holds it.

    Args:
        sizes: Its sizes and number types.
        device: Where it computes.
        quantize: "4bit" or "8bit" for the language model; None for neither.
        seed: Of the weights.
    """
    model = build_empty(sizes.config(), sizes.types)
    fill(model, _random_weights(model, device, seed), sizes.types, device, quantize)
    return model


def _random_weights(
    model: LisaModel, device: torch.device, seed: int
) -> Iterator[tuple[str, Tensor]]:
    """Yield weights that keep the size of what passes through them; norms pass it on as it is."""
    generator = torch.Generator(device).manual_seed(seed)
    empty = [(name, one.shape, one.dtype) for name, one in model.named_parameters()]
    for name, size, dtype in empty:
        weight = torch.empty(size, dtype=dtype, device=device)
        if len(size) > 1:
            weight.normal_(std=size[1:].numel() ** -0.5, generator=generator)
        else:
            weight.fill_(float(name.endswith("weight")))
        yield name, weight
