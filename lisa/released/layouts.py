"""The full sizes of the published checkpoints, known without downloading them.

They let each model be built on the meta device, and its keys and bytes be counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from transformers import CLIPVisionConfig

from lisa.errors import CheckpointError
from lisa.models import LisaConfig, LisaModel
from lisa.models.segmenters import PRESETS
from lisa.released.config import PartTypes, translate
from lisa.released.empty_model import build_empty
from lisa.released.key_map import LANGUAGE_MODEL, ignored_names, to_released
from lisa.released.shards import TensorInfo


@dataclass(frozen=True)
class ReleasedLayout:
    """What the files of one published repository say, as far as sizes go.

    Attributes:
        config: The fields of its `config.json` that decide sizes.
        projector: Name in `PROJECTORS`, as its keys tell.
        seg_token_id: Id of `[SEG]`, from its `added_tokens.json`.
        vision_size: Side in pixels of what its CLIP ViT-L/14 sees.
    """

    config: Mapping[str, Any]
    projector: str
    seg_token_id: int
    vision_size: int


_7B = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
}
_LAYOUT_7B_V1 = ReleasedLayout(
    {**_7B, "vocab_size": 32004, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6},
    projector="linear",
    seg_token_id=32003,
    vision_size=224,
)
_LAYOUT_13B_LLAMA2 = ReleasedLayout(
    {
        "hidden_size": 5120,
        "intermediate_size": 13824,
        "num_hidden_layers": 40,
        "num_attention_heads": 40,
        "vocab_size": 32003,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
    },
    projector="linear",
    seg_token_id=32000,
    vision_size=224,
)
_LAYOUT_PLUS_7B = ReleasedLayout(
    {**_7B, "vocab_size": 32001, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5},
    projector="backbone",
    seg_token_id=32000,
    vision_size=336,
)

RELEASED_LAYOUTS: Mapping[str, ReleasedLayout] = MappingProxyType(
    {
        "xinlai/LISA-7B-v1": _LAYOUT_7B_V1,
        "xinlai/LISA-7B-v1-explanatory": _LAYOUT_7B_V1,
        "xinlai/LISA-13B-llama2-v1": _LAYOUT_13B_LLAMA2,
        "xinlai/LISA-13B-llama2-v1-explanatory": _LAYOUT_13B_LLAMA2,
        "Senqiao/LISA_Plus_7b": _LAYOUT_PLUS_7B,
    }
)


# As stored: the language model in half precision, what draws masks in full.
_TYPES = PartTypes(torch.bfloat16, torch.float32)


def full_size_config(name: str) -> LisaConfig:
    """Returns the configuration of a published checkpoint by its hub id.

    Raises:
        CheckpointError: If it is none of those known.
    """
    if name not in RELEASED_LAYOUTS:
        raise CheckpointError(
            f"{name} is no published checkpoint; known are {', '.join(RELEASED_LAYOUTS)}."
        )
    layout = RELEASED_LAYOUTS[name]
    return translate(
        layout.config,
        clip_vit_large(layout.vision_size),
        projector=layout.projector,
        segmenter=PRESETS["sam_vit_h"].to_dict(),
        seg_token_id=layout.seg_token_id,
        reject_token_id=None,
        types=_TYPES,
    )


def full_size_model(name: str) -> LisaModel:
    """Builds a published checkpoint's model at full size; its parameters take no memory.

    Raises:
        CheckpointError: If it is none of those known.
    """
    return build_empty(full_size_config(name), _TYPES)


def clip_vit_large(image_size: int) -> CLIPVisionConfig:
    """Returns the configuration of CLIP ViT-L/14's vision tower for pictures of one size."""
    return CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=image_size,
        patch_size=14,
        projection_dim=768,
    )


def released_tensors(model: LisaModel) -> dict[str, TensorInfo]:
    """Returns what a released checkpoint of a model holds, by released name.

    Counted from the module tree: all but the vision tower, which releases leave out.
    """
    pairs = ((to_released(name), tensor) for name, tensor in model.state_dict().items())
    return {name: TensorInfo.of(tensor) for name, tensor in pairs if name is not None}


def released_frequencies(model: LisaModel) -> dict[str, TensorInfo]:
    """Returns the rotary frequencies that released checkpoints also hold: the same once a layer."""
    rotary = model.get_submodule(f"{LANGUAGE_MODEL}.rotary_emb")
    info = TensorInfo.of(rotary.get_buffer("inv_freq"))
    layers = int(model.config.backbone.get_text_config().num_hidden_layers)
    return dict.fromkeys(ignored_names(layers), info)
