"""Pipelines of several sizes with random weights, for measurements of speed and memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn
from transformers import CLIPImageProcessorPil, PreTrainedTokenizerFast

from lisa.models import LisaModel
from lisa.models.packing import can_pack_weights, pack_large_weights
from lisa.models.segmenters import PRESETS
from lisa.pipeline import LisaPipeline
from lisa.processor import LisaProcessor, ProcessorSettings
from lisa.released.config import PartTypes, image_tokens
from lisa.released.random_model import (
    LISA_7B,
    ModelSizes,
    language_sizes,
    random_model,
    vision_sizes,
)
from lisa.tokenization import HubTokenizer
from lisa.tokens import SEG_TOKEN
from lisa.transforms import SegmenterTransform
from lisa.types import Conversation

LISA_13B = replace(LISA_7B, language=language_sizes(5120, 13824, 40, 40, 32004))
HALF_BILLION = ModelSizes(
    language_sizes(1024, 2816, 32, 16, 32004),
    vision_sizes(768, 3072, 12, 12),
    PRESETS["sam_vit_b"],
    PartTypes(torch.float32, torch.float32),
)
"""0.48 billion parameters in the language model, with 256 image tokens and SAM ViT-B."""


def random_pipeline(
    device: torch.device, sizes: ModelSizes, packed: bool = True, quantize: str | None = None
) -> LisaPipeline:
    """Build a pipeline whose every answer begins with `[SEG]`, as a trained one's soon does.

    Args:
        device: Where it computes.
        sizes: Of the model.
        packed: Whether to pack weights where that pays, as `LisaPipeline.from_pretrained` does.
        quantize: "4bit" or "8bit" for the language model; None for neither.
    """
    model = random_model(sizes, device, quantize)
    config = model.config
    if packed and can_pack_weights(model.backbone, model.dtype):
        pack_large_weights(model.backbone, model.dtype)
    side = sizes.vision["image_size"]
    settings = ProcessorSettings("llava_v1", image_tokens(config), config.image_token_id, 2048)
    pixels = CLIPImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    transform = SegmenterTransform(model.segmenter.image_size)
    tokenizer = _byte_tokenizer(sizes.language["vocab_size"])
    processor = LisaProcessor(tokenizer, transform, settings, pixels)
    _point_at_once(model, processor.encode_conversation(Conversation().ask("?", 0))[-1])
    return LisaPipeline(model, processor)


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


def _point_at_once(model: LisaModel, last_id: int) -> None:
    """Make `[SEG]` the first word of every answer; random weights would hardly ever say it.

    Args:
        model: Changed in place.
        last_id: With which every prompt ends.
    """
    table = model.backbone.get_input_embeddings()
    begins: list[Tensor] = []

    def look(module: nn.Module, arguments: Any, named: dict[str, Any]) -> None:
        ids, embeddings = named.get("input_ids"), named.get("inputs_embeds")
        if embeddings is None:
            assert ids is not None
            begins[:] = [ids[:, -1] == last_id]
        else:
            end = table(torch.tensor(last_id, device=embeddings.device))
            begins[:] = [(embeddings[:, -1] == end).all(dim=-1)]

    def say(module: nn.Module, arguments: Any, logits: Tensor) -> Tensor:
        shift = torch.zeros_like(logits)
        wanted = begins[0][:, None].to(logits.device)
        shift[..., model.config.seg_token_id] = torch.where(wanted, 1e4, -1e4).to(logits.dtype)
        return logits + shift

    model.backbone.register_forward_pre_hook(look, with_kwargs=True)
    model.backbone.get_output_embeddings().register_forward_hook(say)
