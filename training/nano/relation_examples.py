"""What relations are learnt from: mask tokens and geometry of scenes, and what is true of them.

Nothing in front of the relation model changes while it learns, so its inputs are computed once and
kept on disk. Each scene comes in two readings, for the two sorts of masks that it shall serve:

- *given*: the true masks, whose tokens are found as `lisa.relations.features` finds them;
- *found*: the masks that a click into each object finds, as automatic masks are found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from lisa.data.scenes import PREDICATES, WIDE, CutoutLibrary, compose_scene, scene_relations
from lisa.errors import DataError
from lisa.masks import mask_to_box
from lisa.models import EncodedImage, LisaModel
from lisa.models.segmenters import PromptablePicture
from lisa.processor import LisaProcessor
from lisa.relations.features import features_of_masks, segment_prompts
from lisa.relations.geometry import BoolMask, pair_geometry
from training.nano.corpus import Corpus, CorpusScene
from training.nano.decoder_stage import clicks

READINGS = 2


@dataclass(frozen=True)
class RelationExample:
    """The N objects of a scene.

    Attributes:
        features: (2, N, C) mask tokens of each reading.
        geometry: (2, N, N, G) of each reading.
        target: (R, N, N), 1 for what is true.
    """

    features: Tensor
    geometry: Tensor
    target: Tensor


def relation_target(masks: Sequence[BoolMask]) -> Tensor:
    """Return what is true of the objects of a scene: (R, N, N) of predicate, subject, object."""
    target = torch.zeros(len(PREDICATES), len(masks), len(masks))
    for subject, predicate, other in scene_relations(masks):
        target[PREDICATES.index(predicate), subject, other] = 1
    return target


def relation_examples(
    path: Path,
    model: LisaModel,
    processor: LisaProcessor,
    corpus: Corpus,
    count: int,
    library: CutoutLibrary,
    nested: range,
) -> list[RelationExample]:
    """Read the examples, or make and keep them.

    Args:
        path: File that keeps them.
        model: Its trunk and its segmenter, trained.
        processor: Of the model.
        corpus: Scenes with maps of the trunk.
        count: How many of them to use, if there are so many.
        library: Of the cut-outs for further scenes.
        nested: Seeds of further scenes, with one thing inside another: such are rare otherwise.

    Raises:
        DataError: If the file holds examples of another model.
    """
    made_by = {"segmenter": _fingerprint(model)}
    if not path.exists():
        used = range(min(count, len(corpus)))
        scenes = _scenes(model, processor, map(corpus.__getitem__, used), library, nested)
        total = len(used) + len(nested)
        progress = tqdm(scenes, desc="relations", unit="scene", total=total)
        examples = [
            _example(model, image, masks, np.random.default_rng(seed))
            for seed, image, masks in progress
            if len(masks) > 1
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = path.with_suffix(".part")
        save_file(_joined(examples), staging, metadata=made_by)
        staging.replace(path)
    with safe_open(path, framework="pt") as file:
        if file.metadata() != made_by:
            raise DataError(
                f"{path} holds what another segmenter has seen: delete {path.parent}, or choose "
                "another folder with --work."
            )
    return _split(load_file(path))


def _fingerprint(model: LisaModel) -> str:
    """Digest of the segmenter's weights in half precision, as a checkpoint holds them."""
    digest = hashlib.sha256()
    for name, value in sorted(model.segmenter.state_dict().items()):
        digest.update(name.encode() + value.half().cpu().numpy().tobytes())
    return digest.hexdigest()


def _scenes(
    model: LisaModel,
    processor: LisaProcessor,
    corpus: Iterable[CorpusScene],
    library: CutoutLibrary,
    nested: range,
) -> Iterator[tuple[int, EncodedImage, list[BoolMask]]]:
    """Yield seed, picture and visible masks of each scene."""
    for kept in corpus:
        yield kept.seed, kept.image, list(kept.masks)
    for seed in nested:
        scene = compose_scene(library, seed, variation=WIDE, nested=True)
        inputs = processor.encode_images([scene.image])
        with torch.no_grad():
            (image,) = model.encode_images(
                inputs.pixel_values,
                original_sizes=inputs.original_sizes,
                resized_sizes=inputs.resized_sizes,
            )
        yield seed, image, [item.mask for item in scene.objects]


@torch.no_grad()
def _example(
    model: LisaModel, image: EncodedImage, masks: list[BoolMask], rng: np.random.Generator
) -> RelationExample:
    picture = model.promptable(image)
    readings = [
        (features_of_masks(picture, masks), pair_geometry(masks)),
        _found(picture, masks, rng),
    ]
    features, geometry = (torch.stack(parts) for parts in zip(*readings, strict=True))
    return RelationExample(features, geometry, relation_target(masks))


def _found(
    picture: PromptablePicture, masks: list[BoolMask], rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return tokens and geometry of what a click into each mask finds."""
    points = clicks(masks, rng).points
    assert points is not None
    segments = segment_prompts(picture, points=[tuple(one) for one in points[:, 0].tolist()])
    shown = [
        # A click that finds nothing would teach nothing; automatic masks are never empty.
        mask if mask_to_box(segment.mask) is None else segment.mask
        for segment, mask in zip(segments.segments, masks, strict=True)
    ]
    return segments.features, pair_geometry(shown)


def _joined(examples: Sequence[RelationExample]) -> dict[str, Tensor]:
    """Return the examples as a few tensors, one row an object or a pair."""
    return {
        "counts": torch.tensor([one.features.shape[1] for one in examples]),
        "features": torch.cat([one.features for one in examples], dim=1),
        "geometry": torch.cat([one.geometry.flatten(1, 2) for one in examples], dim=1),
        "target": torch.cat([one.target.flatten(1) for one in examples], dim=1),
    }


def _split(tensors: dict[str, Tensor]) -> list[RelationExample]:
    counts = tensors["counts"].tolist()
    pairs = [count * count for count in counts]
    parts = zip(
        counts,
        tensors["features"].split(counts, dim=1),
        tensors["geometry"].split(pairs, dim=1),
        tensors["target"].split(pairs, dim=1),
        strict=True,
    )
    return [
        RelationExample(
            features,
            geometry.unflatten(1, (count, count)),
            target.unflatten(1, (count, count)),
        )
        for count, features, geometry, target in parts
    ]
