"""A tiny random model, real in every part: LLaVA (CLIP and Llama), SAM, a tokenizer from code."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch.utils.hooks import RemovableHandle
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    PreTrainedTokenizerFast,
)

from lisa.models import LisaConfig, LisaModel
from lisa.processor import LisaProcessor, ProcessorSettings
from lisa.tokenization import HubTokenizer
from lisa.transforms import SegmenterTransform

FRAME = 64
PATCH = 14
_CHARACTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
_SPECIAL = ["<s>", "</s>", "<pad>"]
SEG_ID = len(_SPECIAL) + len(_CHARACTERS)
REJECT_ID = SEG_ID + 1
IMAGE_ID = -200
VOCABULARY = REJECT_ID + 1


_SPEAKING: WeakKeyDictionary[torch.nn.Module, RemovableHandle] = WeakKeyDictionary()


def tiny_tokenizer() -> HubTokenizer:
    """A byte tokenizer with [SEG] and [REJ] as plain added tokens."""
    vocabulary = {token: index for index, token in enumerate([*_SPECIAL, *_CHARACTERS])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    fast.add_tokens(["[SEG]", "[REJ]"])
    return HubTokenizer(fast)


def tiny_config(
    *, patches_a_side: int = 2, tied: bool = False, context: int = 2048, **changes: object
) -> LisaConfig:
    """Configuration of the tiny model; `changes` are fields of LisaConfig."""
    backbone = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_size=PATCH * patches_a_side,
            patch_size=PATCH,
        ),
        text_config=LlamaConfig(
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            vocab_size=VOCABULARY,
            max_position_embeddings=context,
            tie_word_embeddings=tied,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=2,
        ),
    )
    segmenter = {
        "kind": "sam",
        "embed_dim": 16,
        "depth": 2,
        "num_heads": 2,
        "encoder_mlp_dim": 24,
        "global_attn_indexes": [1],
        "image_size": FRAME,
        "window_size": 2,
        "prompt_dim": 16,
        "decoder_mlp_dim": 24,
        "iou_head_hidden_dim": 16,
    }
    fields = {"seg_token_id": SEG_ID, "reject_token_id": REJECT_ID, "image_token_id": IMAGE_ID}
    return LisaConfig(backbone_config=backbone, segmenter_config=segmenter, **{**fields, **changes})


def tiny_model(seed: int = 0, **options: object) -> LisaModel:
    """The tiny model with random weights, so large that inputs matter."""
    torch.manual_seed(seed)
    model = LisaModel(tiny_config(**options)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name and parameter.ndim > 1:
                parameter.normal_(std=0.3)
    return model


def tiny_processor(
    *, patches_a_side: int = 2, context: int = 2048, template: str = "llava_v1"
) -> LisaProcessor:
    """The processor of the tiny model."""
    side = PATCH * patches_a_side
    settings = ProcessorSettings(template, patches_a_side**2, IMAGE_ID, context)
    pixels = CLIPImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    return LisaProcessor(tiny_tokenizer(), SegmenterTransform(FRAME), settings, pixels)


def picture(height: int, width: int, seed: int = 0) -> Image.Image:
    """A random RGB picture."""
    generator = np.random.default_rng(seed)
    return Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8))


def emit(model: LisaModel, answers: list[list[int]]) -> None:
    """Make `generate` say these ids, row by row, while all states are computed as always.

    A hook on the output layer counts its calls, one a token, and takes the place of an earlier one.
    What it proves is everything but the choice of words.
    """
    model.lookup_tokens = 0
    head = model.backbone.get_output_embeddings()
    step = [0]

    def say(module: torch.nn.Module, arguments: object, logits: torch.Tensor) -> torch.Tensor:
        forced = torch.full_like(logits, -4.0)
        for row, ids in enumerate(answers):
            token = ids[step[0]] if step[0] < len(ids) else 1
            forced[row, -1, token] = 4.0
        step[0] += 1
        return forced

    if head in _SPEAKING:
        _SPEAKING.pop(head).remove()
    _SPEAKING[head] = head.register_forward_hook(say)
