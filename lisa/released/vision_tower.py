"""The CLIP vision tower, which released LISA checkpoints name but leave out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import CLIPVisionConfig
from transformers.image_processing_utils import BaseImageProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from lisa.errors import CheckpointError
from lisa.hub import read_json, resolve
from lisa.released.key_map import VISION_TOWER_PREFIX
from lisa.released.shards import Checkpoint

# A whole CLIP also brings its text half; position ids were once saved and follow from the size.
_IGNORED = re.compile(
    r"text_model\..*|text_projection\.weight|visual_projection\.weight|logit_scale"
    r"|vision_model\.embeddings\.position_ids"
)
_PREFIX = "vision_model."


@dataclass(frozen=True)
class VisionTower:
    """A CLIP on disk: CLIPVisionModel's files or those of a whole CLIPModel.

    Attributes:
        config: Of the vision half.
        image_processor: How it wants its pixels (Pillow's resampling, as the weights were trained).
        checkpoint: Its weight files.
    """

    config: CLIPVisionConfig
    image_processor: BaseImageProcessor
    checkpoint: Checkpoint

    @classmethod
    def open(
        cls,
        given: str | Path | None,
        released: Mapping[str, Any],
        *,
        revision: str | None = None,
        offline: bool = False,
    ) -> VisionTower:
        """Finds the tower that was given, or else the one that the checkpoint names.

        Args:
            given: Folder or hub id; None takes the checkpoint's.
            released: Contents of the checkpoint's `config.json`.
            revision: Branch, tag or commit of the tower's hub repository.
            offline: Use only what was downloaded before.

        Raises:
            CheckpointError: If it cannot be had, or is no CLIP vision tower of the right width.
        """
        name = given or released.get("mm_vision_tower") or released.get("vision_tower")
        if not name:
            raise CheckpointError(
                "config.json names no vision tower; give one with --vision-tower."
            )
        try:
            folder = resolve(name, revision, offline)
        except CheckpointError as error:
            if given:
                raise
            raise CheckpointError(
                f"The checkpoint sees through {name}, which it does not contain and which could "
                f"not be had ({str(error).rstrip('.')}); give a local copy with --vision-tower."
            ) from error
        config = _vision_config(folder)
        width = released.get("mm_hidden_size", config.hidden_size)
        if width != config.hidden_size:
            raise CheckpointError(
                f"The vision tower in {folder} is {config.hidden_size} wide and the checkpoint's "
                f"projector takes {width}; give {released.get('mm_vision_tower')}."
            )
        return cls(config, _image_processor(folder, config), Checkpoint.open(folder))

    @staticmethod
    def to_ours(name: str) -> str | None:
        """Returns our name of one of the tower's weights, or None outside the vision half."""
        if not name.startswith(_PREFIX):
            return None
        return VISION_TOWER_PREFIX + name.removeprefix(_PREFIX)

    @staticmethod
    def is_ignored(name: str) -> bool:
        """Tells whether a CLIP checkpoint may hold this name and no weight of ours needs it."""
        return _IGNORED.fullmatch(name) is not None


def _vision_config(folder: Path) -> CLIPVisionConfig:
    stored = read_json(folder / "config.json")
    kind = stored.get("model_type")
    if kind not in ("clip", "clip_vision_model"):
        raise CheckpointError(
            f"{folder} holds a model of type {kind!r}; the vision tower must be a CLIP."
        )
    return CLIPVisionConfig.from_dict(stored.get("vision_config", stored))


def _image_processor(folder: Path, config: CLIPVisionConfig) -> BaseImageProcessor:
    if (folder / "preprocessor_config.json").is_file():
        return CLIPImageProcessorPil.from_pretrained(str(folder), local_files_only=True)
    side = int(config.image_size)  # type: ignore[arg-type]
    return CLIPImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
