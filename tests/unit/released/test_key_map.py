from __future__ import annotations

import pytest

from lisa.released.key_map import ignored_names, is_ignored, to_ours, to_released


@pytest.mark.parametrize(
    ("released", "ours"),
    [
        ("lm_head.weight", "backbone.lm_head.weight"),
        ("model.norm.weight", "backbone.model.language_model.norm.weight"),
        (
            "model.layers.10.mlp.up_proj.weight",
            "backbone.model.language_model.layers.10.mlp.up_proj.weight",
        ),
        ("model.mm_projector.weight", "backbone.model.multi_modal_projector.linear.weight"),
        ("model.mm_projector.0.bias", "backbone.model.multi_modal_projector.linear_1.bias"),
        ("model.mm_projector.2.bias", "backbone.model.multi_modal_projector.linear_2.bias"),
        ("model.text_hidden_fcs.0.2.weight", "mask_projection.2.weight"),
        ("model.visual_model.mask_decoder.iou_token.weight",
         "segmenter.mask_decoder.iou_token.weight"),
    ],
)  # fmt: skip
def test_names_translate_both_ways(released: str, ours: str) -> None:
    assert to_ours(released) == ours
    assert to_released(ours) == released
    assert not is_ignored(released)


def test_names_that_no_rule_knows() -> None:
    assert to_ours("model.vision_tower.something") is None
    assert to_released("backbone.model.vision_tower.post_layernorm.weight") is None


def test_only_rotary_frequencies_are_ignored() -> None:
    names = ignored_names(12)
    assert len(names) == 12
    assert all(map(is_ignored, names))
    assert not is_ignored("model.layers.0.self_attn.q_proj.weight")
    assert not is_ignored("x." + names[0])
