"""Writes small checkpoints in the released layout, in any of the file formats that are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPVisionConfig

from lisa.models.segmenters import SamConfig
from lisa.released.config import PartTypes, translate
from lisa.released.empty_model import build_empty
from lisa.released.key_map import VISION_TOWER_PREFIX
from lisa.released.layouts import released_frequencies, released_tensors
from tests.unit.tokenizers import write_tokenizer

Format = Literal["bin", "old_bin", "safetensors"]
ADDED = ("<im_patch>", "<im_start>", "<im_end>", "[SEG]")
VOCABULARY = 300
MIXED = PartTypes(torch.bfloat16, torch.float32)


@dataclass(frozen=True)
class Sizes:
    """A tiny model unless told otherwise."""

    width: int = 32
    inner: int = 48
    layers: int = 2
    sam_width: int = 32
    sam_layers: int = 2
    projector: str = "linear"
    added: tuple[str, ...] = ADDED
    types: PartTypes = MIXED
    extra_config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Written:
    """A checkpoint and its vision tower on disk, with what was written into them."""

    folder: Path
    tower: Path
    tensors: dict[str, Tensor]
    tower_tensors: dict[str, Tensor]


def write_checkpoint(
    root: Path, sizes: Sizes = Sizes(), *, kind: Format = "bin", shards: int = 3
) -> Written:
    """Writes `root/checkpoint` and `root/tower`; values are drawn from a fixed seed."""
    vocabulary = VOCABULARY + len(sizes.added)
    config = released_config(sizes, vocabulary)
    vision = CLIPVisionConfig(
        hidden_size=24, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2,
        image_size=28, patch_size=14,
    )  # fmt: skip
    ours = translate(
        config,
        vision,
        projector=sizes.projector,
        segmenter=sam(sizes).to_dict(),
        seg_token_id=vocabulary - 1,
        reject_token_id=None,
        types=sizes.types,
    )
    model = build_empty(ours, sizes.types)
    layout = {**released_tensors(model), **released_frequencies(model)}
    generator = torch.Generator().manual_seed(7)
    tensors = {
        name: torch.randn(info.shape, generator=generator).mul_(0.05).to(info.dtype)
        for name, info in layout.items()
    }
    tower_tensors = {
        f"vision_model.{name.removeprefix(VISION_TOWER_PREFIX)}": torch.randn(
            value.shape, generator=generator
        ).mul_(0.05)
        for name, value in model.state_dict().items()
        if name.startswith(VISION_TOWER_PREFIX)
    }
    folder, tower = root / "checkpoint", root / "tower"
    write_tokenizer(folder, sizes.added, vocab_size=VOCABULARY)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    write_weights(folder, tensors, kind, shards)
    tower.mkdir()
    vision.save_pretrained(tower)
    write_weights(tower, tower_tensors, kind, 1)
    return Written(folder, tower, tensors, tower_tensors)


def released_config(sizes: Sizes, vocabulary: int) -> dict[str, Any]:
    return {
        "architectures": ["LISAForCausalLM"],
        "model_type": "llava",
        "vocab_size": vocabulary,
        "hidden_size": sizes.width,
        "intermediate_size": sizes.inner,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": 2,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-6,
        "mm_hidden_size": 24,
        "mm_vision_tower": "openai/clip-vit-large-patch14",
        "mm_vision_select_layer": -2,
        **sizes.extra_config,
    }


def sam(sizes: Sizes) -> SamConfig:
    return SamConfig(
        embed_dim=sizes.sam_width,
        depth=sizes.sam_layers,
        num_heads=2,
        encoder_mlp_dim=2 * sizes.sam_width,
        global_attn_indexes=(1,),
        image_size=256,
        prompt_dim=32,
        decoder_mlp_dim=32,
        iou_head_hidden_dim=32,
    )


def write_weights(folder: Path, tensors: Mapping[str, Tensor], kind: Format, shards: int) -> None:
    stem, suffix = ("model", "safetensors") if kind == "safetensors" else ("pytorch_model", "bin")
    if shards == 1:
        write_file(folder / f"{stem}.{suffix}", dict(tensors), kind)
        return
    names = sorted(tensors)
    weight_map = {}
    for shard in range(shards):
        file = f"{stem}-{shard + 1:05d}-of-{shards:05d}.{suffix}"
        part = names[shard * len(names) // shards : (shard + 1) * len(names) // shards]
        write_file(folder / file, {name: tensors[name] for name in part}, kind)
        weight_map.update(dict.fromkeys(part, file))
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps(index), encoding="utf-8")


def write_file(path: Path, tensors: dict[str, Tensor], kind: Format) -> None:
    if kind == "safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=kind == "bin")
