"""Random records of every family, to show what holds for all of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eval.metrics import (
    GresRecord,
    GroupRecord,
    InstanceRecord,
    MaskRecord,
    Measurement,
    PixelCounts,
    SaliencyRecord,
    SceneGraphRecord,
    ScoredInstance,
    TagRecord,
    TrueInstance,
    average_precision_measurement,
    gres_mask_measurement,
    gres_measurement,
    group_measurement,
    mask_measurement,
    ref_zom_measurement,
    saliency_measurement,
    scene_graph_measurement,
    tagging_measurement,
)
from lisa.masks import encode_rle

TAGS = ("bowl", "comb", "kite", "lamp")
PREDICATES = 4


@dataclass(frozen=True)
class Family:
    """One family.

    Attributes:
        name: Of the test.
        draw: Makes a random record with a number as key.
        perfect: Makes a record without a mistake.
        measure: Turns records into a measurement.
        copied: Gives a record (and its cluster) another name, sorted directly behind the first.
    """

    name: str
    draw: Callable[[random.Random, int], Any]
    perfect: Callable[[random.Random, int], Any]
    measure: Callable[[Sequence[Any]], Measurement]
    copied: Callable[[Any, int], Any] = lambda one, n: replace(one, key=f"{one.key}-{n}")


def mask_record(key: str, picture: str, target: int, predicted: int, shared: int) -> MaskRecord:
    """A record of a mask with so many pixels, given with one `[SEG]` if it has any."""
    counts = PixelCounts(shared, target + predicted - shared, target)
    return MaskRecord(key, picture, counts, predicted, int(predicted > 0))


def draw_mask(rng: random.Random, number: int) -> MaskRecord:
    target, predicted = rng.choice([0, 3, 700]), rng.choice([0, 4, 60, 900])
    shared = rng.randint(0, min(target, predicted))
    made = mask_record(f"{number:03d}", f"p{number // 2}", target, predicted, shared)
    return replace(made, pointed=rng.randint(1, 2) if predicted else rng.randint(0, 1))


def perfect_mask(rng: random.Random, number: int) -> MaskRecord:
    pixels = rng.choice([0, 60, 900]) if number > 1 else 900 * number
    return mask_record(f"{number:03d}", f"p{number // 2}", pixels, pixels, pixels)


def draw_gres(rng: random.Random, number: int) -> GresRecord:
    one = draw_mask(rng, number)
    rejected = rng.random() < 0.3
    return GresRecord(
        one.key, "", one.counts.intersection, one.counts.union, one.targeted, rejected
    )


def perfect_gres(rng: random.Random, number: int) -> GresRecord:
    one = perfect_mask(rng, number)
    counts = one.counts
    return GresRecord(
        one.key, "", counts.intersection, counts.union, one.targeted, not one.targeted
    )


def draw_group(rng: random.Random, number: int) -> GroupRecord:
    return GroupRecord(draw_mask(rng, number), f"g{number // 4}", f"e{number % 2}")


def perfect_group(rng: random.Random, number: int) -> GroupRecord:
    return GroupRecord(perfect_mask(rng, number), f"g{number // 4}", f"e{number % 2}")


def copied_group(one: GroupRecord, number: int) -> GroupRecord:
    mask = replace(one.mask, key=f"{one.key}-{number}")
    return replace(one, mask=mask, group=f"{one.group}-{number}")


def copied_mask(one: MaskRecord | GresRecord, number: int) -> Any:
    return replace(one, key=f"{one.key}-{number}")


def draw_tags(rng: random.Random, number: int) -> TagRecord:
    likely = np.array([rng.choice([0.0, 0.25, 0.5, 0.75, rng.random()]) for _ in TAGS])
    return TagRecord(f"{number:03d}", likely, np.array([rng.random() < 0.4 for _ in TAGS]))


def perfect_tags(rng: random.Random, number: int) -> TagRecord:
    shown = np.array([number % len(TAGS) == n or rng.random() < 0.4 for n in range(len(TAGS))])
    return TagRecord(f"{number:03d}", np.where(shown, 1.0, 0.1), shown)


def draw_graph(rng: random.Random, number: int) -> SceneGraphRecord:
    predicates = tuple(rng.randrange(PREDICATES) for _ in range(rng.randint(0, 4)))
    skipped = rng.random() < 0.2
    ranks = tuple(None if skipped else rng.choice([None, 5, 30, 70, 300]) for _ in predicates)
    return SceneGraphRecord(f"{number:03d}", predicates, ranks, tuple(reversed(ranks)), skipped)


def perfect_graph(rng: random.Random, number: int) -> SceneGraphRecord:
    ranks = tuple(range(PREDICATES))
    return SceneGraphRecord(f"{number:03d}", ranks, ranks, ranks, False)


def draw_saliency(rng: random.Random, number: int) -> SaliencyRecord:
    curves = (tuple(rng.random() for _ in range(256)) for _ in range(2))
    return SaliencyRecord(f"{number:03d}", *(rng.random() for _ in range(4)), *curves)


def perfect_saliency(rng: random.Random, number: int) -> SaliencyRecord:
    ones = (1.0,) * 256
    return SaliencyRecord(f"{number:03d}", 0.0, 1.0, 1.0, 1.0, ones, ones)


def draw_instances(rng: random.Random, number: int) -> InstanceRecord:
    truth = tuple(
        TrueInstance(_bar(rng), rng.choice([1, 7]), rng.random() < 0.1)
        for _ in range(rng.randint(0, 3))
    )
    predicted = [
        ScoredInstance(one.mask, rng.choice([0.2, 0.5, rng.random()]), one.category)
        for one in truth
        if rng.random() < 0.6
    ]
    for _ in range(rng.randint(0, 2)):
        predicted.append(ScoredInstance(_bar(rng), rng.random(), rng.choice([1, 7])))
    return InstanceRecord(f"{number:03d}", truth, tuple(predicted))


def perfect_instances(rng: random.Random, number: int) -> InstanceRecord:
    # One of each category, at a place of its own: nothing can be confused.
    masks = np.zeros((2, 8, 9), bool)
    masks[0, :3], masks[1, 5:] = True, True
    given = [(encode_rle(mask), 1 + kind) for kind, mask in enumerate(masks)]
    return InstanceRecord(
        f"{number:03d}",
        tuple(TrueInstance(mask, kind) for mask, kind in given),
        tuple(ScoredInstance(mask, rng.random(), kind) for mask, kind in given),
    )


def _bar(rng: random.Random) -> Any:
    mask = np.zeros((8, 9), bool)
    top, left = rng.randrange(8), rng.randrange(9)
    mask[top : top + rng.randint(1, 5), left : left + rng.randint(1, 6)] = True
    return encode_rle(mask)


FAMILIES = (
    Family("masks", draw_mask, perfect_mask, mask_measurement, copied_mask),
    Family("gres", draw_gres, perfect_gres, gres_measurement, copied_mask),
    Family("gres of masks", draw_mask, perfect_mask, gres_mask_measurement, copied_mask),
    Family("ref-zom", draw_mask, perfect_mask, ref_zom_measurement, copied_mask),
    Family("groups", draw_group, perfect_group, group_measurement, copied_group),
    Family(
        "tagging",
        draw_tags,
        perfect_tags,
        lambda records: tagging_measurement(records, [0.5, 0.3, 0.75, 1.0], TAGS, per_class=True),
    ),
    Family(
        "scene graphs",
        draw_graph,
        perfect_graph,
        lambda records: scene_graph_measurement(records, PREDICATES),
    ),
    Family("saliency", draw_saliency, perfect_saliency, saliency_measurement),
    Family("average precision", draw_instances, perfect_instances, average_precision_measurement),
)
