"""Features of a split's true segments, worked out once: the panoptic model does not learn.

Each picture has a file of its own, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from lisa.data.readers.psg import Psg, Scene
from lisa.errors import ConfigError, DataError
from lisa.images import open_image
from lisa.relations.panoptic import PanopticSegmenter
from lisa.relations.pooling import coverage, pool
from lisa.settings import plain
from training.relations.noise import noised
from training.relations.recipe import SEED_STRIDE, RelationRecipe
from training.resume import changed_settings

_DESCRIPTION = "features.json"


@dataclass(frozen=True, eq=False)
class SceneFeatures:
    """What is known of a picture's true segments.

    Attributes:
        objects: (K, N, C) mean features of the N segments in K noisy copies.
        whole: (C,) mean features of the picture.
    """

    objects: Tensor
    whole: Tensor


def prepare_features(recipe: RelationRecipe, psg: Psg, segmenter: PanopticSegmenter) -> Path:
    """Work out the features of all pictures of a split.

    Args:
        recipe: Of the run.
        psg: The split.
        segmenter: The panoptic model.

    Returns:
        The folder, for `read_features`.

    Raises:
        ConfigError: If the folder holds features of other settings.
        DataError: If the data are damaged.
        ImageError: If a picture is missing or damaged.
    """
    folder = recipe.output / "features"
    folder.mkdir(parents=True, exist_ok=True)
    _check_same(folder / _DESCRIPTION, _description(recipe, len(psg)))
    left = [index for index in range(len(psg)) if not _file(folder, index).is_file()]
    done = len(psg) - len(left)
    for index in tqdm(left, "features", initial=done, total=len(psg), unit="picture"):
        _work_out(recipe, psg[index], index, segmenter, folder)
    return folder


def read_features(folder: Path, index: int) -> SceneFeatures:
    """Read the features of a picture.

    Raises:
        DataError: If its file is missing or damaged.
    """
    path = _file(folder, index)
    try:
        tensors = load_file(path)
        return SceneFeatures(tensors["objects"], tensors["whole"])
    except (OSError, SafetensorError, KeyError) as error:
        raise DataError(
            f"{str(path)!r} cannot be read ({error}): delete it and start the run again."
        ) from error


def _work_out(
    recipe: RelationRecipe, scene: Scene, index: int, segmenter: PanopticSegmenter, folder: Path
) -> None:
    generator = torch.Generator().manual_seed(recipe.seed * SEED_STRIDE + index)
    features = segmenter.feature_map(open_image(scene.image))
    shares = coverage(scene.masks(), (features.shape[1], features.shape[2]))
    copies = [shares]
    copies += [noised(shares, recipe.noise, generator) for _ in range(recipe.noise.copies - 1)]
    tensors = {
        "objects": torch.stack([pool(features, copy) for copy in copies]).cpu(),
        "whole": features.mean(dim=(1, 2)).cpu(),
    }
    path = _file(folder, index)
    staged = path.with_suffix(".part")
    save_file(tensors, staged)
    os.replace(staged, path)


def _file(folder: Path, index: int) -> Path:
    return folder / f"{index:06d}.safetensors"


def _description(recipe: RelationRecipe, pictures: int) -> dict[str, Any]:
    noise = plain(recipe.noise)
    del noise["classes"]  # drawn anew at each step
    return {
        "panoptic": recipe.panoptic,
        "psg": plain(recipe.psg),
        "pictures": pictures,
        "noise": noise,
        "seed": recipe.seed,
    }


def _check_same(path: Path, description: dict[str, Any]) -> None:
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = changed_settings(before, description)
        if changed:
            raise ConfigError(
                f"{str(path.parent)!r} holds features of other settings ({', '.join(changed)} "
                "changed): set them back, delete it, or choose another output."
            )
    else:
        path.write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
