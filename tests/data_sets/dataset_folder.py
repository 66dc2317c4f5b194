"""LISA's folder `dataset` with everything in it that a benchmark can be asked of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.data_sets import (
    ade20k,
    coco_stuff,
    cosod,
    d3,
    grefcoco,
    mapillary,
    paco_lvis,
    pascal_part,
    psg,
    reason_seg,
    ref_zom,
    refcoco,
    tagging,
)

PLACES: tuple[tuple[str, Callable[[Path], None]], ...] = (
    ("reason_seg/ReasonSeg", reason_seg.write),
    ("refer_seg", refcoco.write),
    ("refer_seg", grefcoco.write),
    ("refer_seg", ref_zom.write),
    ("d3", d3.write),
    ("ade20k", ade20k.write),
    ("mapillary", mapillary.write),
    ("vlpart/pascal_part", pascal_part.write),
    (".", coco_stuff.write),
    (".", paco_lvis.write),
    (".", psg.write),
    ("datasets", tagging.write),
    ("CoCA", cosod.write),
)
MASKS = (
    "reasonseg:val",
    "reasonseg:test",
    "reasonseg:train",
    *(f"{name}:{split}" for name in ("refcoco", "refcoco+") for split in ("val", "testA", "testB")),
    "refcocog:val",
    "refcocog:test",
    "refclef:testB",
    "grefcoco:val",
    "grefcoco:testA",
    "grefcoco:testB",
    "ref-zom:test",
    "d3:full",
    "d3:pres",
    "d3:abs",
    "d3:inter/full",
    "grd",
    "ade20k:val",
    "cocostuff:val",
    "mapillary:val",
    "paco_lvis:val",
    "pascal_part:val",
)
OTHERS = (
    "psg:test",
    "tagging:openimages_common_214",
    "tagging:openimages_rare_200",
    "tagging:hico",
    "tagging:imagenet_multi",
    "cosod:coca",
)


def write(root: Path) -> None:
    """Write the folder."""
    for place, write_one in PLACES:
        folder = root / place
        folder.mkdir(parents=True, exist_ok=True)
        write_one(folder)
