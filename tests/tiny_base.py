"""Tiny vision-language models and a tiny SAM as files, as one downloads the large ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForImageTextToText,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    Idefics3Config,
    LlamaConfig,
    LlavaConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2VLConfig,
    Qwen3VLConfig,
)
from transformers.image_processing_utils import BaseImageProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from lisa.assemble import assemble
from lisa.devices import choose_placement
from lisa.models import LisaModel
from lisa.models.segmenters import SamConfig
from lisa.processor import LisaProcessor
from tests.unit.segmenters.tiny_sam import tiny_sam

PADDED_ROWS = 7
"""Rows of Qwen's embedding tables behind the vocabulary."""

_CHARACTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
_MARKS = [f"<|{name}|>" for name in ("endoftext", "im_start", "im_end", "vision_start")]
_MARKS += [f"<|{name}|>" for name in ("vision_end", "image_pad", "video_pad")]
_SAM = SamConfig(
    embed_dim=16,
    depth=2,
    num_heads=2,
    encoder_mlp_dim=24,
    global_attn_indexes=(1,),
    image_size=64,
    window_size=2,
    prompt_dim=16,
    decoder_mlp_dim=24,
    iou_head_hidden_dim=16,
)
# What Qwen's own templates write; a default system text is Qwen2.5's habit.
_CHAT_MARKUP = (
    "{% for message in messages %}"
    "{% if loop.first and message.role != 'system' %}<|im_start|>system\n"
    "You are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message.role }}\n"
    "{% for part in message.content %}{% if part.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_ROLES = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ message.role | upper }}:{{ ' ' }}"
    "{% for part in message.content %}{% if part.type == 'image' %}<image>\n"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}"
    "{% if message.role == 'assistant' %}</s>{% else %}{{ ' ' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT: {% endif %}"
)


def _tokenizer(special: list[str], template: str, **named: str) -> PreTrainedTokenizerFast:
    vocabulary = {token: index for index, token in enumerate([*_CHARACTERS, *special])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)
    fast.add_special_tokens({"additional_special_tokens": special})
    fast.chat_template = template
    return fast


def qwen_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes and the marks of Qwen-VL."""
    return _tokenizer(_MARKS, _CHAT_MARKUP, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def llava_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes and the marks of LLaVA."""
    special = ["<s>", "</s>", "<pad>", "<image>"]
    return _tokenizer(special, _ROLES, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def _text(vocabulary: int, **changes: object) -> dict[str, object]:
    return {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": vocabulary,
        "max_position_embeddings": 2048,
        "bos_token_id": None,
        **changes,
    }


def _qwen_fields(tokenizer: PreTrainedTokenizerFast) -> dict[str, object]:
    names = {"image": "image_pad", "video": "video_pad"}
    names |= {"vision_start": "vision_start", "vision_end": "vision_end"}
    ids = tokenizer.convert_tokens_to_ids
    return {f"{key}_token_id": ids(f"<|{name}|>") for key, name in names.items()}


def qwen2_config(tokenizer: PreTrainedTokenizerFast) -> PreTrainedConfig:
    """Qwen2-VL."""
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    end = tokenizer.eos_token_id
    return Qwen2VLConfig(
        text_config=_text(len(tokenizer) + PADDED_ROWS, rope_parameters=rope, eos_token_id=end),
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2},
        **_qwen_fields(tokenizer),
    )


def qwen2_5_config(tokenizer: PreTrainedTokenizerFast, tied: bool = False) -> PreTrainedConfig:
    """Qwen2.5-VL: windows of 4 x 4 tokens in one of its vision layers."""
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    end = tokenizer.eos_token_id
    return Qwen2_5_VLConfig(
        text_config=_text(len(tokenizer) + PADDED_ROWS, rope_parameters=rope, eos_token_id=end),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "num_heads": 2,
            "intermediate_size": 48,
            "out_hidden_size": 64,
            "fullatt_block_indexes": [1],
        },
        tie_word_embeddings=tied,
        **_qwen_fields(tokenizer),
    )


def qwen3_config(tokenizer: PreTrainedTokenizerFast) -> PreTrainedConfig:
    """Qwen3-VL: features of both vision layers reach into the language model."""
    rope = {
        "rope_type": "default",
        "mrope_section": [2, 3, 3],
        "mrope_interleaved": True,
        "rope_theta": 10000.0,
    }
    return Qwen3VLConfig(
        text_config=_text(
            len(tokenizer) + PADDED_ROWS,
            rope_parameters=rope,
            head_dim=16,
            eos_token_id=tokenizer.eos_token_id,
        ),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "num_heads": 2,
            "intermediate_size": 48,
            "out_hidden_size": 64,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0, 1],
        },
        **_qwen_fields(tokenizer),
    )


def llava_config(tokenizer: PreTrainedTokenizerFast) -> PreTrainedConfig:
    """LLaVA; its tables are as long as the vocabulary."""
    return LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_size=28,
            patch_size=14,
        ),
        text_config=LlamaConfig(
            **_text(
                len(tokenizer),
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )


def idefics3_config(tokenizer: PreTrainedTokenizerFast) -> PreTrainedConfig:
    """Idefics3, SmolVLM's architecture."""
    end = tokenizer.eos_token_id
    return Idefics3Config(
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 7,
        },
        text_config={"model_type": "llama", **_text(len(tokenizer), eos_token_id=end)},
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
    )


_Config = Callable[[PreTrainedTokenizerFast], PreTrainedConfig]
QWENS: dict[str, _Config] = {
    "qwen2_vl": qwen2_config,
    "qwen2_5_vl": qwen2_5_config,
    "qwen3_vl": qwen3_config,
}


def _image_processor(kind: str) -> BaseImageProcessor:
    if kind == "llava":
        return CLIPImageProcessorPil(
            size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
        )
    patch = 16 if kind == "qwen3_vl" else 14
    side = 2 * patch
    return Qwen2VLImageProcessorPil(
        patch_size=patch, size={"shortest_edge": 4 * side**2, "longest_edge": 40 * side**2}
    )


def write_base(folder: Path, kind: str, config: PreTrainedConfig | None = None) -> Path:
    """Write a vision-language model with random weights, so large that inputs matter.

    Args:
        folder: To write.
        kind: "llava" or a key of `QWENS`.
        config: Of the model; left out, that of its kind.
    """
    tokenizer = llava_tokenizer() if kind == "llava" else qwen_tokenizer()
    torch.manual_seed(0)
    build = {**QWENS, "llava": llava_config}[kind]
    model = AutoModelForImageTextToText.from_config(config or build(tokenizer))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name and parameter.ndim > 1:
                parameter.normal_(std=0.2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _image_processor(kind).save_pretrained(folder)
    return folder


def write_sam(path: Path) -> Path:
    """Write a SAM in Meta's layout."""
    torch.save(tiny_sam(_SAM).state_dict(), path)
    return path


def tiny_lisa(folder: Path, kind: str, **options: Any) -> tuple[LisaModel, LisaProcessor]:
    """Assemble a LISA from a tiny vision-language model and a tiny SAM, in float32 on the CPU.

    Args:
        folder: Where the files go.
        kind: As `write_base` takes it.
        **options: As `assemble` takes them.
    """
    base = write_base(folder / "base", kind)
    sam = write_sam(folder / "sam_vit_b.pth")
    return assemble(base, sam, choose_placement("cpu", "float32"), **options)
