"""The names of weights in released LISA checkpoints and in `LisaModel`, one rule a part."""

from __future__ import annotations

import re
from typing import NamedTuple

LINEAR_PROJECTOR_KEY = "model.mm_projector.weight"
MLP_PROJECTOR_KEYS = ("model.mm_projector.0.weight", "model.mm_projector.2.weight")
SEGMENTER_PREFIX = "model.visual_model."
VISION_TOWER_PREFIX = "backbone.model.vision_tower."
LANGUAGE_MODEL = "backbone.model.language_model"


class _Rule(NamedTuple):
    released: str
    ours: str


_PROJECTOR = "backbone.model.multi_modal_projector."

# Longer beginnings come before shorter ones that they start with.
_RULES = (
    _Rule("model.embed_tokens.", f"{LANGUAGE_MODEL}.embed_tokens."),
    _Rule("model.layers.", f"{LANGUAGE_MODEL}.layers."),
    _Rule("model.norm.", f"{LANGUAGE_MODEL}.norm."),
    _Rule("lm_head.", "backbone.lm_head."),
    _Rule("model.mm_projector.0.", f"{_PROJECTOR}linear_1."),
    _Rule("model.mm_projector.2.", f"{_PROJECTOR}linear_2."),
    _Rule("model.mm_projector.", f"{_PROJECTOR}linear."),
    _Rule("model.text_hidden_fcs.0.", "mask_projection."),
    _Rule(SEGMENTER_PREFIX, "segmenter."),
)

# Rotary frequencies were saved with every layer; they follow from the configuration.
_IGNORED = re.compile(r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq")


def is_ignored(released: str) -> bool:
    """Tells whether a released checkpoint may hold this name and no weight of ours needs it."""
    return _IGNORED.fullmatch(released) is not None


def ignored_names(num_layers: int) -> list[str]:
    """Returns all names that `is_ignored` in a model of so many layers."""
    return [f"model.layers.{i}.self_attn.rotary_emb.inv_freq" for i in range(num_layers)]


def to_ours(released: str) -> str | None:
    """Returns our name of a released weight, or None if no rule knows it."""
    for rule in _RULES:
        if released.startswith(rule.released):
            return rule.ours + released.removeprefix(rule.released)
    return None


def to_released(ours: str) -> str | None:
    """Returns the released name of one of our weights, or None where releases leave it out."""
    for rule in _RULES:
        if ours.startswith(rule.ours):
            return rule.released + ours.removeprefix(rule.ours)
    return None
