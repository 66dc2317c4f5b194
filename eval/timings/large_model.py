"""A pipeline of LISA-7B's size with random weights, for measurements on a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn
from transformers import CLIPImageProcessorPil, PreTrainedTokenizerFast

from lisa.models import LisaModel
from lisa.models.segmenters import PRESETS, SegmenterConfig
from lisa.pipeline import LisaPipeline
from lisa.processor import LisaProcessor, ProcessorSettings
from lisa.released.config import PartTypes, image_tokens
from lisa.released.random_model import LANGUAGE_7B, VISION_7B, random_model, sized_config
from lisa.tokenization import HubTokenizer
from lisa.tokens import SEG_TOKEN
from lisa.transforms import SegmenterTransform


@dataclass(frozen=True)
class Sizes:
    """Sizes of a model as `lisa.released.random_model.sized_config` takes them."""

    language: Mapping[str, Any]
    vision: Mapping[str, Any]
    segmenter: SegmenterConfig
    types: PartTypes


LISA_7B = Sizes(
    LANGUAGE_7B,
    VISION_7B,
    PRESETS["sam_vit_h"],
    PartTypes(torch.bfloat16, torch.bfloat16),
)


def large_pipeline(device: torch.device, sizes: Sizes = LISA_7B) -> LisaPipeline:
    """Build a pipeline whose every answer begins with `[SEG]`, as a trained one's soon does.

    Args:
        device: Where it computes.
        sizes: Of the model.
    """
    config = sized_config(sizes.language, sizes.vision, sizes.segmenter, sizes.types)
    model = random_model(config, sizes.types, device)
    _point_at_once(model)
    side = sizes.vision["image_size"]
    settings = ProcessorSettings("llava_v1", image_tokens(config), config.image_token_id, 2048)
    pixels = CLIPImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    transform = SegmenterTransform(model.segmenter.image_size)
    tokenizer = _byte_tokenizer(sizes.language["vocab_size"])
    return LisaPipeline(model, LisaProcessor(tokenizer, transform, settings, pixels))


def _byte_tokenizer(vocabulary: int) -> HubTokenizer:
    """A token for each byte; `[SEG]` is the last of the vocabulary, as in published models."""
    special = ["<unk>", "<s>", "</s>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    unused = vocabulary - len(special) - len(letters) - 1
    known = [*special, *letters, *(f"<unused_{number}>" for number in range(unused)), SEG_TOKEN]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(known)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<unk>"
    )
    fast.add_tokens([SEG_TOKEN])
    return HubTokenizer(fast)


def _point_at_once(model: LisaModel) -> None:
    """Make `[SEG]` the first word of every answer; random weights would hardly ever say it."""
    begins = [False]

    def look(module: nn.Module, arguments: Any, named: dict[str, Any]) -> None:
        # Only the first step of an answer reads embeddings, those of the prompt.
        begins[0] = named.get("inputs_embeds") is not None

    def say(module: nn.Module, arguments: Any, logits: Tensor) -> Tensor:
        shift = torch.zeros_like(logits)
        shift[..., model.config.seg_token_id] = 1e4 if begins[0] else -1e4
        return logits + shift

    model.backbone.register_forward_pre_hook(look, with_kwargs=True)
    model.backbone.get_output_embeddings().register_forward_hook(say)
