"""Panoptic scene graphs: R@K and mR@K, as OpenPSG's `sgg_evaluation` scores them.

A predicted relation finds a true one if subject class, predicate and object class are equal and
both masks have IoU >= 0.5 with the true ones (*phrase*: the union of the two masks has). It may
find several true relations, and each of them counts once. For the task *PredCls*, give the true
masks and classes as prediction.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.metrics.bootstrap import (
    RESAMPLES,
    Floats,
    Measurement,
    Weights,
    from_draws,
    in_order,
    with_intervals,
)
from eval.metrics.figures import Figure
from lisa.errors import DataError

CUT_OFFS = (20, 50, 100)
PREDICATES = 56
"""How many predicates PSG has."""

_IOU = 0.5


class Relation(NamedTuple):
    """Positions of subject and object among the segments, and the predicate's number from 0."""

    subject: int
    object: int
    predicate: int


@dataclass(frozen=True, eq=False)
class SceneGraph:
    """Segments of a picture and relations between them.

    Attributes:
        masks: `bool (N, H, W)`.
        labels: Classes of the segments, `N` of them.
        relations: Of a prediction: the surest first.
    """

    masks: NDArray[np.bool_]
    labels: Sequence[int]
    relations: Sequence[Relation]


@dataclass(frozen=True)
class SceneGraphRecord:
    """One picture.

    Attributes:
        key: Of the picture.
        predicates: Of each true relation.
        ranks: Of each true relation, the rank from 0 of the first prediction that finds it; None
            for none.
        phrase_ranks: The same for the phrase variant.
        skipped: Whether the prediction has no relations, so that the released evaluation leaves
            the picture out.
    """

    key: str
    predicates: tuple[int, ...]
    ranks: tuple[int | None, ...]
    phrase_ranks: tuple[int | None, ...]
    skipped: bool


def one_predicate_per_pair(relations: Iterable[Relation]) -> list[Relation]:
    """Keep the first relation of every ordered pair: the graph constraint."""
    kept: dict[tuple[int, int], Relation] = {}
    for relation in relations:
        kept.setdefault((relation.subject, relation.object), relation)
    return list(kept.values())


def judge_scene_graph(
    key: str, truth: SceneGraph, predicted: SceneGraph | None
) -> SceneGraphRecord:
    """Find at which rank each true relation is found.

    Args:
        key: Of the picture.
        truth: What is right.
        predicted: What was predicted; None for nothing at all. Its relations are taken as they
            are: apply `one_predicate_per_pair` first where a system gives several for a pair.

    Raises:
        DataError: If masks are of different sizes, or a relation names a segment that is not there.
    """
    predicates = tuple(relation.predicate for relation in truth.relations)
    nothing = (None,) * len(predicates)
    _check(truth, key)
    if predicted is None or not predicted.relations:
        return SceneGraphRecord(key, predicates, nothing, nothing, True)
    _check(predicted, key)
    if not truth.relations:
        return SceneGraphRecord(key, (), (), (), False)
    if truth.masks.shape[1:] != predicted.masks.shape[1:]:
        raise DataError(
            f"{key}: predicted masks are of {predicted.masks.shape[1:]} pixels, true ones of "
            f"{truth.masks.shape[1:]}: bring them to the size of the picture first."
        )
    agree = _agree(truth, predicted)
    overlap = _intersections(truth.masks, predicted.masks)
    areas = [one.masks.sum(axis=(1, 2)) for one in (truth, predicted)]
    close = _reaches(overlap, areas[0][:, None] + areas[1] - overlap)
    asked = np.array(truth.relations, np.intp)
    given = np.array(predicted.relations, np.intp)
    both = close[asked[:, :1], given[:, 0]] & close[asked[:, 1:2], given[:, 1]]
    united = _unions_reach(truth, predicted, agree)
    return SceneGraphRecord(key, predicates, _first(agree & both), _first(agree & united), False)


def _check(graph: SceneGraph, key: str) -> None:
    segments = len(graph.labels)
    if graph.masks.ndim != 3 or len(graph.masks) != segments or graph.masks.dtype != np.bool_:
        raise DataError(
            f"{key}: {segments} labels need as many masks, bool (N, height, width), not "
            f"{graph.masks.dtype} {graph.masks.shape}."
        )
    for relation in graph.relations:
        if not (0 <= relation.subject < segments and 0 <= relation.object < segments):
            raise DataError(f"{key}: {relation} names a segment that is not among {segments}.")


def _agree(truth: SceneGraph, predicted: SceneGraph) -> NDArray[np.bool_]:
    """Where the three classes are equal, `(true relations, predicted relations)`."""
    asked, given = (
        np.array([(one.labels[s], one.labels[o], p) for s, o, p in one.relations])
        for one in (truth, predicted)
    )
    equal: NDArray[np.bool_] = (asked[:, None] == given).all(axis=-1)
    return equal


def _intersections(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.int64]:
    # float32 counts are exact up to 2^24 pixels, float64 far beyond any picture.
    flat = [masks.reshape(len(masks), -1).astype(np.float64) for masks in (one, other)]
    return (flat[0] @ flat[1].T).astype(np.int64)


def _reaches(overlap: NDArray[np.int64], union: NDArray[np.int64]) -> NDArray[np.bool_]:
    # Two empty masks have no IoU, and do not agree here.
    return (union > 0) & (overlap >= _IOU * union)


def _unions_reach(
    truth: SceneGraph, predicted: SceneGraph, agree: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Where the united masks of subject and object agree, looked at only where classes do."""
    reach = np.zeros(agree.shape, bool)
    for row, relation in enumerate(truth.relations):
        true = truth.masks[relation.subject] | truth.masks[relation.object]
        for column in np.flatnonzero(agree[row]).tolist():
            subject, thing, _ = predicted.relations[column]
            found = predicted.masks[subject] | predicted.masks[thing]
            overlap = np.array(np.count_nonzero(true & found))
            reach[row, column] = _reaches(overlap, np.array(np.count_nonzero(true | found)))
    return reach


def _first(found: NDArray[np.bool_]) -> tuple[int | None, ...]:
    return tuple(int(row.argmax()) if row.any() else None for row in found)


def scene_graph_figures(
    records: Iterable[SceneGraphRecord], predicates: int = PREDICATES, seed: int = 0
) -> tuple[Figure, ...]:
    """Return the figures of `scene_graph_measurement` with their intervals."""
    return with_intervals(scene_graph_measurement(records, predicates), seed)


def scene_graph_measurement(
    records: Iterable[SceneGraphRecord], predicates: int = PREDICATES
) -> Measurement:
    """Measure R@K and mR@K for K of 20, 50 and 100, and both for phrases.

    R@K is the mean over pictures of the share of true relations found among the first K. mR@K
    takes for each predicate the mean over the pictures that have it, then the mean over all
    predicates, of which those that never occur count 0 (`predicates that occur`: they are left
    out). Pictures without predicted relations are left out as in the released evaluation (`empty
    predictions count 0`: they are not). Pictures without true relations are left out always.

    Args:
        records: One for each picture.
        predicates: How many predicates there are.

    Raises:
        DataError: If a picture is there twice, or a predicate's number is too high.
    """
    kept = [one for one in in_order(records) if one.predicates]
    for one in kept:
        if not 0 <= min(one.predicates) <= max(one.predicates) < predicates:
            raise DataError(f"{one.key} has a predicate beyond the {predicates} that there are.")
    answered = np.array([not one.skipped for one in kept], bool)
    figures: list[Figure] = []
    found: list[list[list[float]]] = []
    for variant in ("", "phrase "):
        for cut_off in CUT_OFFS:
            figures += _named(variant, cut_off, len(kept), int(answered.sum()))
            found.append(
                [_found(one.phrase_ranks if variant else one.ranks, cut_off) for one in kept]
            )
    recalls = _Recalls(kept, found, predicates)

    def statistic(weights: Weights) -> list[float]:
        readings = [recalls.values(weights, answered), recalls.values(weights, None)]
        return [value for pair in zip(*readings, strict=True) for one in pair for value in one]

    keys = [one.key for one in kept]
    return from_draws(keys, [""] * len(keys), figures, statistic, RESAMPLES)


def _found(ranks: Sequence[int | None], cut_off: int) -> list[float]:
    return [float(rank is not None and rank < cut_off) for rank in ranks]


def _per_predicate(
    records: Sequence[SceneGraphRecord], predicates: int, found: Sequence[Sequence[float]]
) -> Floats:
    """Share of each predicate's relations that were found, `(pictures, predicates)`."""
    hits = np.zeros((len(records), predicates))
    asked = np.zeros((len(records), predicates))
    for number, (record, row) in enumerate(zip(records, found, strict=True)):
        np.add.at(hits[number], list(record.predicates), row)
        np.add.at(asked[number], list(record.predicates), 1.0)
    return hits / np.maximum(asked, 1.0)


def _named(variant: str, cut_off: int, pictures: int, answered: int) -> list[Figure]:
    name = f"{variant}R@{cut_off}"
    mean = f"{variant}mR@{cut_off}"
    left_out = f"{pictures - answered} pictures without predicted relations left out"
    counted = "empty predictions count 0"
    return [
        Figure(name, None, n=answered, note=left_out),
        Figure(mean, None, n=answered, note=left_out),
        Figure(f"{mean} (predicates that occur)", None, n=answered, note=left_out),
        Figure(f"{name} ({counted})", None, n=pictures),
        Figure(f"{mean} ({counted})", None, n=pictures),
        Figure(f"{mean} (predicates that occur, {counted})", None, n=pictures),
    ]


class _Recalls:
    """Recalls at several cut-offs, for any draw of the pictures."""

    def __init__(
        self,
        records: Sequence[SceneGraphRecord],
        found: Sequence[Sequence[Sequence[float]]],
        predicates: int,
    ) -> None:
        """Work out what is the same in every draw.

        Args:
            records: The pictures.
            found: For each cut-off and picture, 1 for each true relation that was found, else 0.
            predicates: How many predicates there are.
        """
        asked = _per_predicate(records, predicates, [[1.0] * len(o.predicates) for o in records])
        self._present = asked > 0
        self._predicates = predicates
        # Columns: which predicates are there; of each cut-off the recall and each predicate's.
        columns = [asked]
        for one in found:
            columns.append(np.array([[sum(row) / len(row)] for row in one]).reshape(-1, 1))
            columns.append(_per_predicate(records, predicates, one))
        self._columns = np.concatenate(columns, axis=1)

    def values(
        self, weights: Weights, counted: NDArray[np.bool_] | None
    ) -> list[tuple[float, float, float]]:
        """Return R, mR and mR over the predicates that occur, for each cut-off; nan for none.

        A predicate that a draw happens to miss must not count 0: intervals would slide below the
        values. Every draw counts as many predicates as 0 as the pictures themselves.

        Args:
            weights: `(pictures,)`.
            counted: `bool (pictures,)`, which count; None for all.
        """
        present = self._present
        if counted is not None:
            weights, present = weights * counted, present[counted]
        # einsum's sums do not depend on how many threads BLAS has.
        sums = np.einsum("n,nc->c", weights, self._columns)
        asked, found = sums[: self._predicates], sums[self._predicates :]
        there = asked > 0
        values = []
        for one in found.reshape(-1, 1 + self._predicates):
            if not there.any():
                values.append((math.nan,) * 3)
                continue
            mean = float((one[1:][there] / asked[there]).mean())
            share = float(present.any(axis=0).mean())
            values.append((float(one[0] / weights.sum()), share * mean, mean))
        return values
