"""Batches of pictures: features, classes and relations of their segments, padded to one length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lisa.data.readers.psg import Psg
from training.relations.features import read_features
from training.relations.noise import noised_classes
from training.relations.recipe import SEED_STRIDE, RelationRecipe


@dataclass(frozen=True, eq=False)
class RelationBatch:
    """B pictures with at most N segments.

    Attributes:
        features: float32 (B, N, C) of the segments.
        classes: int (B, N).
        whole: float32 (B, C) of the pictures.
        target: float32 (B, R, N, N): 1 for predicate, subject and object that are annotated.
        is_segment: bool (B, N), False for padding.
    """

    features: Tensor
    classes: Tensor
    whole: Tensor
    target: Tensor
    is_segment: Tensor

    def to(self, device: torch.device) -> RelationBatch:
        """Return the batch on a device."""
        return RelationBatch(*(getattr(self, name).to(device) for name in self.__annotations__))


class RelationExamples:
    """What a step learns from: a function of the seed and the step, and of nothing else."""

    def __init__(self, recipe: RelationRecipe, psg: Psg, folder: Path) -> None:
        """Remember where things are.

        Args:
            recipe: Of the run.
            psg: The split.
            folder: Of its features; see `training.relations.features`.
        """
        self._recipe = recipe
        self._psg = psg
        self._folder = folder

    def batch(self, step: int) -> RelationBatch:
        """Read the pictures of a step.

        Raises:
            DataError: If data or features are damaged.
        """
        generator = torch.Generator().manual_seed(self._recipe.seed * SEED_STRIDE + step)
        return padded([self._example(index, generator) for index in self.pictures(step)])

    def pictures(self, step: int) -> list[int]:
        """Return the pictures of a step: random permutations, one behind the other."""
        size, count = self._recipe.optimizer.batch, len(self._psg)
        places = [divmod(place, count) for place in range(step * size, (step + 1) * size)]
        orders = {
            turn: np.random.default_rng((self._recipe.seed, turn)).permutation(count)
            for turn in {turn for turn, _ in places}
        }
        return [int(orders[turn][position]) for turn, position in places]

    def _example(self, index: int, generator: torch.Generator) -> RelationBatch:
        """Return a batch of one picture."""
        scene, known = self._psg[index], read_features(self._folder, index)
        count = len(scene.ids)
        kept = torch.randperm(count, generator=generator)[: self._recipe.most_segments]
        place_of = {int(old): new for new, old in enumerate(kept)}
        copy = int(torch.randint(len(known.objects), (1,), generator=generator))
        classes = noised_classes(
            torch.tensor(scene.classes, dtype=torch.long)[kept],
            len(self._psg.classes),
            self._recipe.noise.classes,
            generator,
        )
        target = torch.zeros(1, len(self._psg.predicates), len(kept), len(kept))
        for subject, thing, predicate in scene.relations:
            # Nothing is ever asked of a segment and itself.
            if subject != thing and subject in place_of and thing in place_of:
                target[0, predicate, place_of[subject], place_of[thing]] = 1
        return RelationBatch(
            known.objects[copy][kept][None],
            classes[None],
            known.whole[None],
            target,
            torch.ones(1, len(kept), dtype=torch.bool),
        )


def padded(examples: Sequence[RelationBatch]) -> RelationBatch:
    """Join batches; those with fewer segments are filled up with zeros."""
    most = max(one.features.shape[1] for one in examples)

    def fill(values: Tensor, *axes: int) -> Tensor:
        size = list(values.shape)
        for axis in axes:
            size[axis] = most
        filled = values.new_zeros(size)
        filled[tuple(slice(0, length) for length in values.shape)] = values
        return filled

    return RelationBatch(
        torch.cat([fill(one.features, 1) for one in examples]),
        torch.cat([fill(one.classes, 1) for one in examples]),
        torch.cat([one.whole for one in examples]),
        torch.cat([fill(one.target, 2, 3) for one in examples]),
        torch.cat([fill(one.is_segment, 1) for one in examples]),
    )
