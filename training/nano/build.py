"""Build `lisa-nano` before training: pretrained language model and trunk, everything else fresh."""

from __future__ import annotations

from dataclasses import replace

import torch
from tokenizers import AddedToken
from transformers import AutoTokenizer, LlamaConfig, LlavaConfig

from lisa.base_weights import find_base_file, load_base
from lisa.data.dialogues import TRAINED_TOOLS
from lisa.errors import CheckpointError
from lisa.models import LisaConfig, LisaModel, TrunkConfig
from lisa.models.segmenters import TrunkSamConfig
from lisa.processor import LisaProcessor, ProcessorSettings
from lisa.tokenization import HubTokenizer
from lisa.tokens import REJECT_TOKEN, SEG_TOKEN
from lisa.transforms import SegmenterTransform
from training.nano.recipe import NanoRecipe
from training.nano.sources import SMOLLM2, TRUNK, trunk_weights

IMAGE_SIZE = 256
CONTEXT = 2048
"""SmolLM2 was trained on 2,048 positions before its context was stretched; nano needs no more."""

NEW_TOKENS = (SEG_TOKEN, REJECT_TOKEN)
"""Tokens that SmolLM2 lacks; they are the last rows of its embedding table."""

_IMAGE_TOKENS = (IMAGE_SIZE // 32) ** 2
_HALF_RANGE = (127.5, 127.5, 127.5)


def build_processor() -> LisaProcessor:
    """Build the processor: SmolLM2's tokenizer with `[SEG]` and `[REJ]`, frames of 256 pixels."""
    file = find_base_file(SMOLLM2)
    tokenizer = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
    # Without `lstrip` the blank before [SEG] would be a token of its own, and the state that
    # becomes the mask would be that of a blank instead of the last word of the name.
    tokenizer.add_tokens([AddedToken(t, lstrip=True) for t in NEW_TOKENS])
    return LisaProcessor(
        HubTokenizer(tokenizer),
        SegmenterTransform(IMAGE_SIZE, _HALF_RANGE, _HALF_RANGE),
        ProcessorSettings(
            "chatml",
            _IMAGE_TOKENS,
            LisaConfig().image_token_id,
            CONTEXT,
            tuple(tool.name for tool in TRAINED_TOOLS),
        ),
    )


def build_config(processor: LisaProcessor, recipe: NanoRecipe) -> LisaConfig:
    """Describe the architecture; the language model's sizes are those of its file."""
    tokenizer = processor.tokenizer
    seg, reject = (tokenizer.convert_tokens_to_ids(token) for token in NEW_TOKENS)
    assert seg is not None  # `build_processor` added both
    text = LlamaConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        head_dim=64,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_theta": 100000.0, "rope_type": "default"},
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    backbone = LlavaConfig(
        text_config=text,
        vision_config=TrunkConfig(architecture=TRUNK, image_size=IMAGE_SIZE),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_seq_length=_IMAGE_TOKENS,
        tie_word_embeddings=True,
    )
    return LisaConfig(
        backbone_config=backbone,
        segmenter_config=TrunkSamConfig(image_size=IMAGE_SIZE, refine_dilations=(1, 2)).to_dict(),
        seg_token_id=seg,
        reject_token_id=reject,
        prompt_head="similarity",
        trainable="nano",
        base_language_model=replace(
            SMOLLM2, lora_scale=recipe.lora_alpha / recipe.lora_rank
        ).to_dict(),
    )


def build_model(processor: LisaProcessor, recipe: NanoRecipe) -> LisaModel:
    """Build the model with its pretrained parts loaded and the others fresh from `recipe.seed`.

    Raises:
        CheckpointError: If a file of pretrained weights is missing or is another one.
        MissingDependencyError: If the package of one is not installed.
    """
    torch.manual_seed(recipe.seed)
    model = LisaModel(build_config(processor, recipe))
    load_base(model)
    tower = model.backbone.model.vision_tower.trunk
    names = [name for name in tower.state_dict() if not name.endswith("num_batches_tracked")]
    report = tower.load_state_dict(trunk_weights(names), strict=False)
    left = [name for name in report.missing_keys if not name.endswith("num_batches_tracked")]
    if left or report.unexpected_keys:
        raise CheckpointError(
            f"The trunk's file does not fit {TRUNK} ({(left + report.unexpected_keys)[0]}): "
            "install the package with the version that constraints.txt names."
        )
    model.train(False)
    return model
