"""From a released `config.json` to a `LisaConfig`, with what only the weights can tell."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

from lisa.errors import CheckpointError
from lisa.hub import read_json
from lisa.models import LisaConfig
from lisa.models.segmenters import sam_config_from_state_dict
from lisa.released.key_map import (
    LINEAR_PROJECTOR_KEY,
    MLP_PROJECTOR_KEYS,
    SEGMENTER_PREFIX,
    is_ignored,
    to_ours,
)
from lisa.released.shards import TensorInfo
from lisa.tokenization import TextTokenizer
from lisa.tokens import REJECT_TOKEN, SEG_TOKEN

_ARCHITECTURE = "LISAForCausalLM"
_REQUIRED = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
    "rms_norm_eps",
)
_SELECTIONS: dict[str, Literal["default", "full"]] = {"patch": "default", "cls_patch": "full"}


@dataclass(frozen=True)
class PartTypes:
    """Number types of the two halves of a model.

    Attributes:
        backbone: Of vision tower, projector and language model.
        segmenter: Of mask projection and segmenter.
    """

    backbone: torch.dtype
    segmenter: torch.dtype

    def of(self, name: str) -> torch.dtype:
        """Returns the number type of a weight, by our name of it."""
        return self.backbone if name.startswith("backbone.") else self.segmenter


def is_released_layout(folder: str | Path) -> bool:
    """Tells whether a folder holds a checkpoint in the layout of the published LISA models."""
    path = Path(folder) / "config.json"
    return path.is_file() and _ARCHITECTURE in (read_json(path).get("architectures") or ())


def read_released_config(folder: Path) -> dict[str, Any]:
    """Reads `config.json` and checks that it is a released LISA's.

    Raises:
        CheckpointError: If it is not, or lacks a size.
    """
    config = read_json(folder / "config.json")
    if _ARCHITECTURE not in (config.get("architectures") or ()):
        raise CheckpointError(
            f"{folder} is not in the layout of the published LISA models: config.json names the "
            f"architecture {config.get('architectures')}, not {_ARCHITECTURE}."
        )
    lacking = [key for key in _REQUIRED if key not in config]
    if lacking:
        raise CheckpointError(
            f"{folder / 'config.json'} lacks {', '.join(lacking)}; download it again."
        )
    return config


def stored_types(tensors: Mapping[str, TensorInfo]) -> PartTypes:
    """Returns the number types in which a released checkpoint's weights are stored.

    Inside a half that mixes several, the widest: a model computes with one type a half.
    """
    halves: dict[bool, list[torch.dtype]] = {True: [], False: []}
    for name, info in tensors.items():
        if not is_ignored(name) and info.dtype.is_floating_point:
            halves[(to_ours(name) or "").startswith("backbone.")].append(info.dtype)
    return PartTypes(_widest(halves[True]), _widest(halves[False]))


def _widest(types: list[torch.dtype]) -> torch.dtype:
    # float16 and bfloat16 meet in float32, as torch promotes them.
    return functools.reduce(torch.promote_types, types) if types else torch.float32


def config_of_checkpoint(
    released: Mapping[str, Any],
    tensors: Mapping[str, TensorInfo],
    tokenizer: TextTokenizer,
    vision: CLIPVisionConfig,
    types: PartTypes,
) -> LisaConfig:
    """Translates the configuration of a checkpoint on disk.

    Args:
        released: Its `config.json`.
        tensors: What its weight files hold.
        tokenizer: Its tokenizer: the id of `[SEG]` stands nowhere else.
        vision: Configuration of the CLIP vision tower that it is to see with.
        types: Number types to load with.

    Raises:
        CheckpointError: If `[SEG]` is no token, or projector or segmenter are not recognised.
    """
    seg = tokenizer.convert_tokens_to_ids(SEG_TOKEN)
    if seg is None:
        raise CheckpointError(
            f"added_tokens.json has no {SEG_TOKEN}, so answers could not point at anything; use "
            "the tokenizer files that came with the weights."
        )
    shapes = {
        name.removeprefix(SEGMENTER_PREFIX): info.shape
        for name, info in tensors.items()
        if name.startswith(SEGMENTER_PREFIX)
    }
    return translate(
        released,
        vision,
        projector=_projector_of(tensors),
        segmenter=sam_config_from_state_dict(shapes).to_dict(),
        seg_token_id=seg,
        reject_token_id=tokenizer.convert_tokens_to_ids(REJECT_TOKEN),
        types=types,
    )


def translate(
    released: Mapping[str, Any],
    vision: CLIPVisionConfig,
    *,
    projector: str,
    segmenter: dict[str, Any],
    seg_token_id: int,
    reject_token_id: int | None,
    types: PartTypes,
) -> LisaConfig:
    """Translates a released `config.json`, given what it does not say.

    Args:
        released: Contents of `config.json`.
        vision: Configuration of the vision tower.
        projector: Name in `PROJECTORS`.
        segmenter: Dictionary form of the segmenter's configuration.
        seg_token_id: Id of `[SEG]`.
        reject_token_id: Id of `[REJ]`, if the vocabulary has it.
        types: Number types of the two halves.

    Raises:
        CheckpointError: If image features are selected in a way that is not known.
    """
    selection = released.get("mm_vision_select_feature", "patch")
    if selection not in _SELECTIONS:
        raise CheckpointError(
            f"config.json selects the image features {selection!r}; known are "
            f"{', '.join(_SELECTIONS)}."
        )
    heads = int(released["num_attention_heads"])
    rope = {k: released[k] for k in ("rope_theta", "rope_scaling") if released.get(k) is not None}
    language = LlamaConfig(
        **{key: released[key] for key in _REQUIRED},
        num_key_value_heads=released.get("num_key_value_heads") or heads,
        hidden_act=released.get("hidden_act", "silu"),
        initializer_range=released.get("initializer_range", 0.02),
        bos_token_id=released.get("bos_token_id", 1),
        eos_token_id=released.get("eos_token_id", 2),
        pad_token_id=released.get("pad_token_id", 0),
        tie_word_embeddings=False,
        **rope,
    )
    image_token_id = int(LisaConfig.image_token_id)
    backbone = LlavaConfig(
        vision_config=vision,
        text_config=language,
        image_token_index=image_token_id,
        image_seq_length=_patches(vision),
        vision_feature_layer=released.get("mm_vision_select_layer", -2),
        vision_feature_select_strategy=_SELECTIONS[selection],
        tie_word_embeddings=False,
        dtype=types.backbone,
    )
    return LisaConfig(
        backbone_config=backbone,
        segmenter_config=segmenter,
        segmenter_dtype=str(types.segmenter).removeprefix("torch."),
        image_token_id=image_token_id,
        seg_token_id=seg_token_id,
        reject_token_id=reject_token_id,
        seg_state="previous",
        projector=projector,
        prompt_head="sparse",
        dtype=types.backbone,
    )


def image_tokens(config: LisaConfig) -> int:
    """Returns the number P of tokens that one picture takes in a translated model."""
    backbone = config.backbone
    return int(backbone.image_seq_length) + int(backbone.vision_feature_select_strategy == "full")


def _patches(vision: CLIPVisionConfig) -> int:
    side, patch = vision.image_size, vision.patch_size
    if not isinstance(side, int) or not isinstance(patch, int):
        raise CheckpointError(
            f"The vision tower sees pictures of {side} in patches of {patch}; only square ones are "
            "known."
        )
    return (side // patch) ** 2


def _projector_of(tensors: Mapping[str, TensorInfo]) -> str:
    """Reads the projector off the keys: configurations of fine-tuned models may misname it."""
    if LINEAR_PROJECTOR_KEY in tensors:
        return "linear"
    if all(key in tensors for key in MLP_PROJECTOR_KEYS):
        return "backbone"
    raise CheckpointError(
        f"The weights hold no known projector: neither {LINEAR_PROJECTOR_KEY} nor "
        f"{' and '.join(MLP_PROJECTOR_KEYS)}; give the folder of a complete checkpoint."
    )
