"""Models with random weights and batches of noise, in the sizes that are measured."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lisa.models import LisaConfig, LisaModel
from lisa.models.segmenters import SamConfig
from lisa.processor import ImageInputs
from lisa.released.config import PartTypes, image_tokens
from lisa.released.random_model import (
    LISA_7B,
    ModelSizes,
    language_sizes,
    random_model,
    vision_sizes,
)
from lisa.tokens import IGNORE_INDEX
from lisa.types import ImageSize
from training.examples import Batch


@dataclass(frozen=True)
class Shape:
    """Sizes of a published LISA, and of the batches that it learns from.

    Attributes:
        sizes: Of the model; its number types are those of what does not learn.
        quantize: Bits of the language model, or None.
        gradient_checkpointing: As `training.config.ModelSettings` has it.
        pictures: Pictures of a batch; each is 480 pixels high and 640 wide.
        conversations: Of a picture; each has one mask.
        question: Tokens of the template and a question, beside the picture's.
        answer: Tokens of an answer, which are what is learnt.
    """

    sizes: ModelSizes
    quantize: str | None = None
    gradient_checkpointing: bool = False
    pictures: int = 2
    conversations: int = 3
    question: int = 60
    answer: int = 8


# As many image tokens and conversations as LISA-7B has; so small that a step takes a second or two
# on a laptop.
CPU = Shape(
    ModelSizes(
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
)
QLORA_7B = Shape(LISA_7B, quantize="4bit", gradient_checkpointing=True)
"""LISA-7B with its language model in 4 bits."""


def build_model(shape: Shape, device: torch.device) -> LisaModel:
    """Build a model with random weights on a device."""
    return random_model(shape.sizes, device, shape.quantize)


def random_batch(shape: Shape, config: LisaConfig, seed: int = 0) -> Batch:
    """Make a batch of noise: pictures, questions of different lengths, answers with a `[SEG]`."""
    generator = torch.Generator().manual_seed(seed)
    sizes = shape.sizes
    size, side = ImageSize(480, 640), sizes.segmenter.to_dict()["image_size"]
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
    clip = (shape.pictures, 3, sizes.vision["image_size"], sizes.vision["image_size"])
    return Batch(
        keys=tuple(map(str, range(shape.pictures))),
        input_ids=ids,
        attention_mask=mask,
        labels=labels,
        image_index=torch.arange(shape.pictures).repeat_interleave(shape.conversations),
        images=ImageInputs(
            torch.randn(clip, generator=generator).to(sizes.types.backbone),
            torch.randn(frame, generator=generator).to(sizes.types.segmenter),
            (size,) * shape.pictures,
            (resized,) * shape.pictures,
            {},
        ),
        gt_masks=tuple(torch.rand((rows, 1, *size), generator=generator) < 0.5),
        shortened=0,
    )
