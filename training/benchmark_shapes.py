"""Models with random weights and batches of noise, in the sizes that are measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPVisionConfig

from lisa.models import LisaConfig, LisaModel
from lisa.models.segmenters import PRESETS, SamConfig, SegmenterConfig
from lisa.processor import ImageInputs
from lisa.released.config import PartTypes, image_tokens, translate
from lisa.released.empty_model import build_empty
from lisa.released.loader import fill
from lisa.tokens import IGNORE_INDEX
from lisa.types import ImageSize
from training.examples import Batch


@dataclass(frozen=True)
class Shape:
    """Sizes of a published LISA, and of the batches that it learns from.

    Attributes:
        language: The sizes in a published `config.json`.
        vision: Arguments of `CLIPVisionConfig`.
        segmenter: Configuration of SAM.
        types: Number types of what does not learn.
        quantize: Bits of the language model, or None.
        gradient_checkpointing: As `training.config.ModelSettings` has it.
        pictures: Pictures of a batch; each is 480 pixels high and 640 wide.
        conversations: Of a picture; each has one mask.
        question: Tokens of the template and a question, beside the picture's.
        answer: Tokens of an answer, which are what is learnt.
    """

    language: Mapping[str, Any]
    vision: Mapping[str, Any]
    segmenter: SegmenterConfig
    types: PartTypes
    quantize: str | None = None
    gradient_checkpointing: bool = False
    pictures: int = 2
    conversations: int = 3
    question: int = 60
    answer: int = 8


def _transformer_sizes(width: int, inner: int, layers: int, heads: int) -> dict[str, int]:
    return {
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
    }


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


# As many image tokens and conversations as LISA-7B has; so small that a step takes a second or two
# on a laptop.
CPU = Shape(
    language=language_sizes(256, 688, 4, 8, 2000),
    vision=vision_sizes(192, 768, 6, 6),
    segmenter=SamConfig(
        embed_dim=192,
        depth=6,
        num_heads=6,
        encoder_mlp_dim=768,
        global_attn_indexes=(2, 5),
        image_size=512,
    ),
    types=PartTypes(torch.float32, torch.float32),
)
# LISA-7B (Lai et al. 2023) with its language model in 4 bits.
QLORA_7B = Shape(
    language=language_sizes(4096, 11008, 32, 32, 32004),
    vision=vision_sizes(1024, 4096, 24, 16),
    segmenter=PRESETS["sam_vit_h"],
    types=PartTypes(torch.bfloat16, torch.bfloat16),
    quantize="4bit",
    gradient_checkpointing=True,
)


def build_model(shape: Shape, device: torch.device, seed: int = 0) -> LisaModel:
    """Build a model on a device, weight by weight: the host never holds it."""
    model = build_empty(lisa_config(shape), shape.types)
    fill(model, _random_weights(model, device, seed), shape.types, device, shape.quantize)
    return model


def lisa_config(shape: Shape) -> LisaConfig:
    """Return the configuration that a published checkpoint of these sizes has."""
    return translate(
        shape.language,
        CLIPVisionConfig(**shape.vision),
        projector="linear",
        segmenter=shape.segmenter.to_dict(),
        seg_token_id=shape.language["vocab_size"] - 1,
        reject_token_id=None,
        types=shape.types,
    )


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


def random_batch(shape: Shape, config: LisaConfig, seed: int = 0) -> Batch:
    """Make a batch of noise: pictures, questions of different lengths, answers with a `[SEG]`."""
    generator = torch.Generator().manual_seed(seed)
    size, side = ImageSize(480, 640), shape.segmenter.to_dict()["image_size"]
    resized = ImageSize(round(size.height * side / size.width), side)
    rows = shape.pictures * shape.conversations
    shown = image_tokens(config)
    width = shown + shape.question + shape.answer
    # Words come after the ids that mean something to a template, and before [SEG].
    ids = torch.randint(3, config.seg_token_id, (rows, width), generator=generator)
    ids[:, 1 : 1 + shown] = config.image_token_id
    labels = torch.full_like(ids, IGNORE_INDEX)
    mask = torch.zeros_like(ids, dtype=torch.bool)
    for row in range(rows):
        end = width - row % shape.conversations
        ids[row, end - 2] = config.seg_token_id
        labels[row, end - shape.answer : end] = ids[row, end - shape.answer : end]
        mask[row, :end] = True
    frame = (shape.pictures, 3, side, side)
    clip = (shape.pictures, 3, shape.vision["image_size"], shape.vision["image_size"])
    return Batch(
        keys=tuple(map(str, range(shape.pictures))),
        input_ids=ids,
        attention_mask=mask,
        labels=labels,
        image_index=torch.arange(shape.pictures).repeat_interleave(shape.conversations),
        images=ImageInputs(
            torch.randn(clip, generator=generator).to(shape.types.backbone),
            torch.randn(frame, generator=generator).to(shape.types.segmenter),
            (size,) * shape.pictures,
            (resized,) * shape.pictures,
            {},
        ),
        gt_masks=tuple(torch.rand((rows, 1, *size), generator=generator) < 0.5),
        shortened=0,
    )
