"""From masks and their features to relations: the public API of Relate-Anything's part.

predictor = RelationPredictor.from_pretrained("ram_epoch12.pth")
graph = predictor(segments, features)
print([graph.sentence(relation) for relation in graph.relations])
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from lisa.devices import choose_device, choose_dtype
from lisa.errors import ConfigError, DataError
from lisa.relations.checkpoint import load_model, save_model
from lisa.relations.geometry import pair_geometry
from lisa.relations.graph import Relation, SceneGraph
from lisa.relations.model import RelationModel
from lisa.relations.vocabulary import PREDICATES
from lisa.types import Segment

TOP = 100
"""How many relations Relate-Anything gives."""


class RelationPredictor:
    """Says how the masks of a picture relate; the same masks always get the same answer."""

    def __init__(self, model: RelationModel) -> None:
        """Take a model; its dropout is switched off, without which answers would differ."""
        self.model = model.eval()

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "float32",
        *,
        predicates: Sequence[str] = PREDICATES,
        num_heads: int | None = None,
        revision: str | None = None,
        offline: bool = False,
    ) -> Self:
        """Load weights.

        Args:
            name_or_path: Relate-Anything's file (`ram_epoch12.pth`), a folder that
                `save_pretrained` wrote, or a hub id of such a folder.
            device: "auto", "cpu", "cuda", "cuda:1", "mps".
            dtype: "auto", "float32", "bfloat16", "float16". The model is small: float32 costs
                little, and many probabilities are close together.
            predicates: Of a released file; a folder of ours says its own.
            num_heads: Attention heads of a released file, which its shapes do not tell; None is
                one for 64 of width.
            revision: Branch, tag or commit on the hub.
            offline: Never ask the network.

        Raises:
            CheckpointError: If weights cannot be found, read, or do not fit.
            DeviceError: If device or number type do not exist here.
        """
        place = choose_device(device)
        kind = choose_dtype(dtype, place)
        model = load_model(
            name_or_path,
            predicates=predicates,
            num_heads=num_heads,
            revision=revision,
            offline=offline,
        )
        return cls(model.to(place, kind))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write configuration and weights (safetensors) into a folder."""
        save_model(self.model, folder)

    @property
    def predicates(self) -> tuple[str, ...]:
        """Names of the predicates, in the order of the scores."""
        return self.model.config.predicates

    def __call__(
        self,
        segments: Sequence[Segment],
        features: Tensor,
        *,
        names: Sequence[str | None] | None = None,
        subject: int | None = None,
        top: int = TOP,
        one_per_pair: bool = False,
    ) -> SceneGraph:
        """Relate the segments of one picture.

        Args:
            segments: The N things; none and one are fine, and have no relations.
            features: (N, C) mask tokens of the segments, in their order; see
                `lisa.relations.features`.
            names: What each segment shows, if that is known.
            subject: Place of a chosen segment: only its relations to the others are given, one for
                each other segment. None relates all of them.
            top: Most relations that are given.
            one_per_pair: Keep only the surest predicate of each subject and object.

        Raises:
            DataError: If the numbers of segments, features and names differ, or features do not
                fit the model.
            ConfigError: If `subject` is no segment, or `top` is negative.
        """
        _check(segments, features, names)
        geometry = None
        if self.model.config.geometry_size:
            geometry = [pair_geometry([segment.mask for segment in segments])]
        logits = self.logits([features], geometry)[0]
        relations = rank(logits, self.predicates, top, subject=subject, one_per_pair=one_per_pair)
        named = None if names is None else tuple(names)
        return SceneGraph(tuple(segments), relations, named)

    @torch.no_grad()
    def logits(
        self, features: Sequence[Tensor], geometry: Sequence[Tensor] | None = None
    ) -> list[Tensor]:
        """Score all pairs of masks of several pictures in one batch.

        Args:
            features: Of each picture (N, C); pictures may differ in N.
            geometry: Of each picture (N, N, G), see `lisa.relations.geometry`; given if and only if
                the model reads it (`config.geometry_size`).

        Returns:
            Of each picture float32 (R, N, N): logits of predicate, subject, object, on the CPU.
            Those of a mask with itself mean nothing.

        Raises:
            DataError: If features or geometry do not fit the model.
        """
        wrong = [tuple(one.shape) for one in features if one.ndim != 2]
        if wrong:
            raise DataError(
                f"Mask features have shape {wrong[0]}: give (masks, width) for each picture."
            )
        if not features:
            return []
        parameter = next(self.model.parameters())
        counts = [len(one) for one in features]
        moved = [one.to(parameter.device, parameter.dtype) for one in features]
        padded = torch.nn.utils.rnn.pad_sequence(moved, batch_first=True)
        is_mask = None
        if len(set(counts)) > 1:
            places = torch.arange(max(counts), device=parameter.device)
            is_mask = places < torch.tensor(counts, device=parameter.device)[:, None]
        pairs = None
        if geometry is not None:
            pairs = torch.stack([_padded_pairs(one, max(counts)) for one in geometry])
            pairs = pairs.to(parameter.device, parameter.dtype)
        scores = self.model(padded, is_mask, pairs).float().cpu()
        return [one[:, :count, :count] for one, count in zip(scores, counts, strict=True)]


def rank(
    logits: Tensor,
    predicates: Sequence[str],
    top: int,
    *,
    subject: int | None = None,
    one_per_pair: bool = False,
) -> tuple[Relation, ...]:
    """Return the surest relations.

    They are put in order by their logits: probabilities near 1 are equal in float32 where logits
    still differ. Equal logits keep the order of predicate, subject and object.

    Args:
        logits: (R, N, N) of predicate, subject, object.
        predicates: Names of the R predicates.
        top: Most relations; where there are fewer, all of them.
        subject: Place of the only subject, of which each object gets its surest predicate; None for
            all.
        one_per_pair: Keep only the surest predicate of each subject and object.

    Raises:
        ConfigError: If `subject` is no mask, or `top` is negative.
    """
    count = logits.shape[-1]
    if top < 0:
        raise ConfigError(f"{top} relations were asked for: ask for 0 or more.")
    if subject is not None and not 0 <= subject < count:
        raise ConfigError(
            f"Segment {subject} was chosen as subject, but there are {count}, numbered from 0."
        )
    allowed = ~torch.eye(count, dtype=torch.bool).expand(logits.shape)
    if subject is not None:
        allowed = allowed & (torch.arange(count) == subject)[:, None]
    if one_per_pair or subject is not None:
        best = logits.argmax(dim=0, keepdim=True)
        allowed = allowed & (torch.arange(len(predicates))[:, None, None] == best)
    places = allowed.nonzero()  # (K, 3) of predicate, subject, object
    chosen = logits[allowed]
    order = chosen.argsort(descending=True, stable=True)[:top]
    probabilities = chosen[order].sigmoid().tolist()
    return tuple(
        Relation(s, predicates[p], o, probability)
        for (p, s, o), probability in zip(places[order].tolist(), probabilities, strict=True)
    )


def _padded_pairs(values: Tensor, count: int) -> Tensor:
    """Pad (N, N, G) with zeros to (count, count, G)."""
    missing = count - len(values)
    return torch.nn.functional.pad(values, (0, 0, 0, missing, 0, missing))


def _check(
    segments: Sequence[Segment], features: Tensor, names: Sequence[str | None] | None
) -> None:
    count = len(segments)
    if len(features) != count or (names is not None and len(names) != count):
        given = "" if names is None else f" and {len(names)} names"
        raise DataError(
            f"There are {count} segments, {len(features)} features{given}: give one of each."
        )
