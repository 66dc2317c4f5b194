"""From a picture to a scene graph with names, in two stages: panoptic segments, then relations.

predictor = SceneGraphPredictor.from_pretrained("runs/psg/model")
graph = predictor(image)
print([graph.sentence(relation) for relation in graph.relations])
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lisa.devices import choose_device
from lisa.errors import ConfigError, DataError, PromptError
from lisa.masks import mask_to_box
from lisa.relations.checkpoint import load_classed_model, save_classed_model
from lisa.relations.classed_model import ClassedRelationModel
from lisa.relations.graph import SceneGraph
from lisa.relations.panoptic import KNOWN_WEIGHTS, PanopticSegmenter
from lisa.relations.pooling import coverage, pool
from lisa.relations.predictor import TOP, rank
from lisa.types import Segment


class SceneGraphPredictor:
    """Says what is in a picture, and how it relates; the same picture always gets one answer."""

    def __init__(self, panoptic: PanopticSegmenter, model: ClassedRelationModel) -> None:
        """Take both stages.

        Args:
            panoptic: Finds segments, their classes and features.
            model: Relates them; moved to the panoptic model's device.

        Raises:
            ConfigError: If the model knows not all classes that the panoptic model finds, or reads
                features of another width.
        """
        unknown = [one for one in panoptic.names.values() if one not in model.config.classes]
        if unknown:
            more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            raise ConfigError(
                f"The panoptic model finds {unknown[0]!r}{more}, which the relation model does not "
                "know: give the panoptic model that it was trained with."
            )
        wanted = model.config.relations.feature_size
        if panoptic.feature_size != wanted:
            raise ConfigError(
                f"The panoptic model gives features of {panoptic.feature_size} numbers, the "
                f"relation model reads {wanted}: give the one that it was trained with."
            )
        self.panoptic = panoptic
        device = next(panoptic.model.parameters()).device
        self.model = model.eval().to(device, torch.float32)
        self._numbers = {name: number for number, name in enumerate(model.config.classes)}

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        panoptic: str | Path | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "float32",
        *,
        revision: str | None = None,
        offline: bool = False,
    ) -> Self:
        """Load both stages.

        Args:
            name_or_path: A folder that `save_pretrained` wrote, or a hub id of such a folder.
            panoptic: Hub id or folder of the panoptic model; None takes the one that the relation
                model was trained with.
            device: "auto", "cpu", "cuda", "cuda:1", "mps".
            dtype: Of the panoptic model; the relation model is small and stays in float32.
            revision: Branch, tag or commit of the relation model on the hub.
            offline: Never ask the network.

        Raises:
            CheckpointError: If weights cannot be found, read, or do not fit.
            ConfigError: If the stages do not fit each other.
            DeviceError: If device or number type do not exist here.
        """
        place = choose_device(device)
        model = load_classed_model(name_or_path, revision=revision, offline=offline)
        source = panoptic or model.config.panoptic
        if not source:
            raise ConfigError(
                f"{name_or_path} does not say which panoptic model it was trained with: name one, "
                f"such as {KNOWN_WEIGHTS}."
            )
        segmenter = PanopticSegmenter.from_pretrained(source, place, dtype, offline=offline)
        return cls(segmenter, model)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write configuration and weights of the second stage (safetensors) into a folder."""
        save_classed_model(self.model, folder)

    @property
    def predicates(self) -> tuple[str, ...]:
        """Names of the predicates, in the order of the scores."""
        return self.model.config.relations.predicates

    def __call__(
        self,
        image: Image.Image,
        *,
        subject: str | None = None,
        top: int = TOP,
        one_per_pair: bool = True,
        threshold: float = 0.5,
    ) -> SceneGraph:
        """Find the things of an RGB picture and relate them.

        Args:
            image: The picture.
            subject: Name of a chosen thing, such as "dog" or "the dog": of all segments so called
                the largest is the only subject, one relation for each other segment. None relates
                all of them.
            top: Most relations that are given.
            one_per_pair: Keep only the surest predicate of each subject and object.
            threshold: Lowest probability of a segment's class.

        Raises:
            PromptError: If no segment has the subject's name.
        """
        divided = self.panoptic.divide(image, threshold)
        segments, names = divided.graph.segments, divided.graph.names or ()
        masks = [one.mask for one in segments]
        logits = self._logits(divided.features, masks, [str(one) for one in names])
        place = None if subject is None else find_named(names, subject)
        relations = rank(logits, self.predicates, top, subject=place, one_per_pair=one_per_pair)
        return SceneGraph(segments, relations, names)

    def relate(
        self,
        image: Image.Image,
        masks: Sequence[NDArray[np.bool_]],
        names: Sequence[str],
        *,
        top: int = TOP,
        one_per_pair: bool = True,
    ) -> SceneGraph:
        """Relate things that are known already: the second stage alone (PSG's "PredCls").

        Args:
            image: The RGB picture.
            masks: bool (H, W) at the size of the picture.
            names: Class of each.
            top: Most relations that are given.
            one_per_pair: Keep only the surest predicate of each subject and object.

        Raises:
            DataError: If there are not as many names as masks, a mask has another size, or a name
                is no class of the model.
        """
        unknown = [name for name in names if name not in self._numbers]
        if len(masks) != len(names) or unknown:
            fault = f"{unknown[0]!r} is no class of the model" if unknown else "give one of each"
            raise DataError(f"There are {len(masks)} masks and {len(names)} names: {fault}.")
        size = (image.height, image.width)
        if any(mask.shape != size for mask in masks):
            raise DataError(f"A mask is not of the picture's size, {size[0]} x {size[1]} pixels.")
        logits = self._logits(self.panoptic.feature_map(image), masks, names)
        relations = rank(logits, self.predicates, top, one_per_pair=one_per_pair)
        segments = tuple(
            Segment(mask, mask_to_box(mask), 1.0, "found" if mask.any() else "empty", None, (0, 0))
            for mask in masks
        )
        return SceneGraph(segments, relations, tuple(names))

    @torch.no_grad()
    def _logits(
        self, features: Tensor, masks: Sequence[NDArray[np.bool_]], names: Sequence[str]
    ) -> Tensor:
        """Return float32 (R, N, N) on the CPU."""
        objects = pool(features, coverage(masks, (features.shape[1], features.shape[2])))
        classes = torch.tensor([self._numbers[name] for name in names], dtype=torch.long)
        scores: Tensor = self.model(
            objects[None], classes[None].to(features.device), features.mean(dim=(1, 2))[None]
        )
        return scores[0].cpu()


def find_named(names: Sequence[str | None], words: str) -> int:
    """Return the place of the first thing with a name.

    Args:
        names: Of the things.
        words: A name, perhaps with an article, in any case.

    Raises:
        PromptError: If nothing is called so; the sentence lists what there is.
    """
    wanted = words.strip().rstrip(".").lower()
    for article in ("the ", "a ", "an "):
        wanted = wanted.removeprefix(article)
    for place, name in enumerate(names):
        if name is not None and name.lower() == wanted:
            return place
    there = ", ".join(sorted({name for name in names if name is not None})) or "nothing"
    raise PromptError(f"{words!r} was not found: there is {there}.")
