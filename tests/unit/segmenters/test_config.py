"""Configurations: round trips, faults, presets, and sizes read from weights."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
import torch

from lisa.errors import CheckpointError, ConfigError
from lisa.models.segmenters import (
    PRESETS,
    SEGMENTERS,
    SamConfig,
    SamSegmenter,
    Segmenter,
    build_segmenter,
    sam_config_from_state_dict,
    segmenter_config,
)
from tests.unit.segmenters.tiny_sam import CONFIG


def _on_meta(source: Any) -> Segmenter:
    with torch.device("meta"):
        return build_segmenter(source)


def _shapes(source: Any) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in _on_meta(source).state_dict().items()}


@pytest.mark.parametrize("config", [CONFIG, *PRESETS.values()])
def test_dictionaries_round_trip_through_json(config: SamConfig) -> None:
    data = json.loads(json.dumps(config.to_dict()))
    assert data["kind"] == "sam"
    assert segmenter_config(data) == config
    assert SamConfig.from_dict(data) == config


def test_faulty_keys_are_all_named_at_once() -> None:
    data = CONFIG.to_dict() | {"embed_dims": 3, "colour": 1}
    del data["depth"]
    with pytest.raises(ConfigError, match=r"unknown: colour, embed_dims; .* missing: depth"):
        segmenter_config(data)


def test_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="its kind is 'trunk'"):
        SamConfig.from_dict(CONFIG.to_dict() | {"kind": "trunk"})
    with pytest.raises(ConfigError, match="kind 'trunk' is unknown: choose one of .*sam"):
        segmenter_config({"kind": "trunk"})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"num_heads": 5}, "num_heads must divide embed_dim"),
        ({"image_size": 100}, "patch_size must divide image_size"),
        ({"global_attn_indexes": (1, 3)}, r"\[3\] are not blocks of 3"),
        ({"depth": 0, "prompt_dim": "wide"}, "depth is 0.*prompt_dim is 'wide'"),
        ({"prompt_dim": 24}, "2 \\* decoder_heads must divide prompt_dim"),
        ({"window_size": True}, "window_size is True"),
    ],
)
def test_sizes_that_cannot_be_are_refused(change: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        dataclasses.replace(CONFIG, **change)


def test_presets_by_name() -> None:
    assert segmenter_config("sam_vit_h") is PRESETS["sam_vit_h"]
    with pytest.raises(ConfigError, match="sam_vit_b, sam_vit_l, sam_vit_h"):
        segmenter_config("sam_vit_g")


def test_registry_builds_what_the_configuration_names() -> None:
    assert SEGMENTERS["sam"] is SamSegmenter
    sam = _on_meta(CONFIG.to_dict())
    assert isinstance(sam, SamSegmenter)
    assert (sam.source, sam.image_size, sam.prompt_dim, sam.grid) == ("pixels", 112, 32, (7, 7))


def test_released_layout_of_vit_h() -> None:
    shapes = _shapes("sam_vit_h")
    parts = ("image_encoder.", "prompt_encoder.", "mask_decoder.")
    assert [sum(key.startswith(part) for key in shapes) for part in parts] == [457, 17, 120]
    assert len(shapes) == 594
    expected = {
        "image_encoder.pos_embed": (1, 64, 64, 1280),
        "image_encoder.patch_embed.proj.weight": (1280, 3, 16, 16),
        "image_encoder.blocks.6.attn.rel_pos_h": (27, 80),
        "image_encoder.blocks.7.attn.rel_pos_w": (127, 80),
        "image_encoder.blocks.31.mlp.lin1.weight": (5120, 1280),
        "image_encoder.neck.2.weight": (256, 256, 3, 3),
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix": (2, 128),
        "prompt_encoder.mask_downscaling.6.weight": (256, 16, 1, 1),
        "mask_decoder.mask_tokens.weight": (4, 256),
        "mask_decoder.transformer.layers.1.mlp.lin1.weight": (2048, 256),
        "mask_decoder.output_hypernetworks_mlps.3.layers.2.weight": (32, 256),
        "mask_decoder.iou_prediction_head.layers.2.weight": (4, 256),
    }
    assert {key: shapes[key] for key in expected} == expected


@pytest.mark.parametrize("name", list(PRESETS))
def test_layout_is_that_of_the_package(name: str) -> None:
    from segment_anything import sam_model_registry

    with torch.device("meta"):
        meta = sam_model_registry[name.removeprefix("sam_")]()
    assert _shapes(name) == {key: tuple(value.shape) for key, value in meta.state_dict().items()}


@pytest.mark.parametrize(
    "config",
    [
        *PRESETS.values(),
        CONFIG,
        dataclasses.replace(CONFIG, window_size=14),
        dataclasses.replace(CONFIG, patch_size=8, image_size=72, decoder_depth=3, mask_in_chans=8),
        dataclasses.replace(CONFIG, global_attn_indexes=()),
    ],
)
def test_sizes_follow_from_weights(config: SamConfig) -> None:
    assert sam_config_from_state_dict(_shapes(config)) == config


def test_a_window_as_large_as_the_grid_counts_as_global() -> None:
    config = dataclasses.replace(CONFIG, window_size=CONFIG.grid_size)
    found = sam_config_from_state_dict(_shapes(config))
    assert found.global_attn_indexes == (0, 1, 2)
    assert _shapes(found) == _shapes(config)


def test_incomplete_weights_are_named() -> None:
    shapes = _shapes(CONFIG)
    del shapes["image_encoder.neck.0.weight"]
    with pytest.raises(CheckpointError, match=r"lack 'image_encoder\.neck\.0\.weight'"):
        sam_config_from_state_dict(shapes)
    with pytest.raises(CheckpointError, match="lack 'image_encoder.pos_embed'"):
        sam_config_from_state_dict({})


def test_gaps_and_foreign_shapes_are_refused() -> None:
    gap = {key: value for key, value in _shapes(CONFIG).items() if ".blocks.1." not in key}
    with pytest.raises(CheckpointError, match=r"\[0, 2\]"):
        sam_config_from_state_dict(gap)
    packed = _shapes(CONFIG) | {"image_encoder.neck.0.weight": (99, 1)}
    with pytest.raises(CheckpointError, match="wanted 4 dimensions"):
        sam_config_from_state_dict(packed)
    wide = _shapes(CONFIG) | {"image_encoder.pos_embed": (1, 7, 9, 24)}
    with pytest.raises(CheckpointError, match="7 x 9 patches"):
        sam_config_from_state_dict(wide)
    mixed = _shapes(CONFIG) | {"image_encoder.blocks.0.attn.rel_pos_h": (11, 8)}
    with pytest.raises(CheckpointError, match="several sizes"):
        sam_config_from_state_dict(mixed)
