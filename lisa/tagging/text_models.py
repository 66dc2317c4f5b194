"""The text models of Tag2Text: one reads tags together with the picture, one writes captions.

Both are BERT with attention to something else in every layer, as in BLIP (arXiv 2201.12086);
transformers has them under the names of the released weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from transformers import BlipTextConfig
from transformers.models.blip.modeling_blip_text import BlipTextLMHeadModel, BlipTextModel

if TYPE_CHECKING:
    from lisa.tagging.config import TaggingConfig


def build_tag_encoder(config: TaggingConfig) -> BlipTextModel:
    """Builds the model that reads tags and looks at the picture's tokens."""
    return BlipTextModel(_settings(config, config.token_width), add_pooling_layer=False)


def build_text_decoder(config: TaggingConfig) -> BlipTextLMHeadModel:
    """Builds the model that writes a caption from what the tag encoder returns."""
    return BlipTextLMHeadModel(_settings(config, config.hidden))


def read_tags(encoder: BlipTextModel, tokens: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Returns the states (B, T, D) of tags that are read while looking at the picture.

    Args:
        encoder: As `build_tag_encoder` builds it.
        tokens: (B, 1 + P, D) image tokens.
        ids: (B, T) of the tags.
        mask: (B, T), 0 where they are padded.
    """
    states: Tensor = encoder(
        input_ids=ids.to(tokens.device),
        attention_mask=mask.to(tokens.device),
        encoder_hidden_states=tokens,
        is_decoder=False,
    ).last_hidden_state
    return states


def _settings(config: TaggingConfig, source_width: int) -> BlipTextConfig:
    text = config.text
    assert text is not None
    return BlipTextConfig(
        vocab_size=text.vocabulary,
        hidden_size=config.hidden,
        encoder_hidden_size=source_width,
        intermediate_size=config.intermediate,
        num_hidden_layers=text.layers,
        num_attention_heads=text.heads,
        max_position_embeddings=text.positions,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
        label_smoothing=0.1,
        # The marks of begin and end are the tokenizer's; they are named at each call.
        bos_token_id=None,
        eos_token_id=None,
        sep_token_id=None,
    )
