"""The sets of classes and parts that LISA learns from, asked about by the names in each picture.

They are no benchmarks of the literature in this form: a class that a picture holds is asked for by
its name and the answer is one mask. The rules are those of `eval.data_sets`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eval.benchmarks.contract import (
    MAX_NEW_TOKENS,
    Benchmark,
    MaskFamily,
    register_family,
)
from eval.benchmarks.lazy_pictures import record_pictures
from eval.benchmarks.places import find_root
from lisa.data.readers import READERS, open_reader
from lisa.data.wordings import Wording


def _register(
    name: str,
    about: str,
    places: Sequence[str],
    wanted: str,
    families: tuple[MaskFamily, ...] = (),
) -> None:
    """Enter a data set, of which `wanted` shows that a folder holds it."""

    def open_part(part: str, data: Path, wording: Wording) -> Benchmark:
        full = f"{name}:{part}"
        reader = open_reader(name, find_root(full, data, places, [wanted]), part)
        pictures = record_pictures(reader, full, wording)
        source = f"{about}; every name that a picture holds is asked once"
        return Benchmark(full, "masks", families, pictures, MAX_NEW_TOKENS, source)

    splits = READERS[name].splits
    parts = sorted(splits, key=lambda split: split == "train")
    usual = tuple(split for split in parts if split != "train")
    layout = f"{wanted} (or LISA's 'dataset')"
    register_family(name, parts=parts, usual=usual, about=about, layout=layout, open=open_part)


_register("ade20k", "150 classes of scenes", (".", "ade20k", "ADEChallengeData2016"), "annotations")
_register("cocostuff", "classes of COCO-Stuff", (".", ".."), "cocostuff")
_register("mapillary", "classes of Mapillary Vistas 2.0", (".", "mapillary"), "config_v2.0.json")
_register(
    "paco_lvis", "objects and parts of PACO-LVIS", (".", "../.."), "vlpart/paco", ("instances",)
)
_register(
    "pascal_part",
    "parts of PASCAL-Part",
    (".", "pascal_part", "vlpart/pascal_part"),
    "VOCdevkit",
    ("instances",),
)
