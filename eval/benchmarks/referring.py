"""The referring sets: refCOCO and its kin, gRefCOCO, Ref-ZOM; every expression is a question.

A part is a split, by the makers that everybody reports (`refcocog:val` is `umd/val`), or written
out with them: `refcocog:google/val`.
"""

from __future__ import annotations

from pathlib import Path

from eval.benchmarks.contract import (
    MAX_NEW_TOKENS,
    Benchmark,
    MaskFamily,
    Opener,
    register_family,
)
from eval.benchmarks.expressions import every_expression
from eval.benchmarks.lazy_pictures import record_pictures
from eval.benchmarks.places import find_root
from eval.data_sets import Asked
from lisa.data.readers import READERS, open_reader
from lisa.data.readers.coco_index import AnnotationMask
from lisa.data.records import Record, Target
from lisa.data.wordings import Wording

ZERO, ONE, MANY = "zero", "one", "many"
_PLACES = (".", "refer_seg", "..")
_LEARNT = ("train",)


def numbered_expressions(_: int, record: Record) -> list[Asked]:
    """Return every expression of Ref-ZOM, in the subset of how many things it means.

    The number of annotations tells one from many.
    """
    return [
        Asked(said, (target,), (_how_many(target),))
        for target in record.targets
        for said in target.expressions
    ]


def _how_many(target: Target) -> str:
    if target.is_absent:
        return ZERO
    mask = target.mask
    return MANY if isinstance(mask, AnnotationMask) and len(mask.annotations) > 1 else ONE


def _opener(
    name: str, folders: tuple[str, ...], families: tuple[MaskFamily, ...], source: str
) -> Opener:
    made_by = (READERS[name].default_split or "").rpartition("/")[0]
    wanted = [f"{folder}/instances.json" for folder in folders]
    rule = numbered_expressions if name == "ref_zom" else every_expression

    def open_part(part: str, data: Path, wording: Wording) -> Benchmark:
        full = f"{_shown(name)}:{part}"
        split = part if "/" in part or not made_by else f"{made_by}/{part}"
        reader = open_reader(name, find_root(full, data, _PLACES, wanted), split)
        pictures = record_pictures(reader, full, wording, rule)
        told = f"{source}, split {split}; every expression is asked"
        return Benchmark(full, "masks", families, pictures, MAX_NEW_TOKENS, told)

    return open_part


def _shown(reader: str) -> str:
    return reader.replace("_", "-")


def _register(
    name: str,
    about: str,
    source: str,
    usual: tuple[str, ...],
    families: tuple[MaskFamily, ...] = (),
    folders: tuple[str, ...] = (),
) -> None:
    """Enter a data set whose parts are the splits of its reader."""
    folders = folders or (name,)
    default = (READERS[name].default_split or "").rpartition("/")[0]
    splits = READERS[name].splits
    parts = [split.removeprefix(f"{default}/") for split in splits]
    parts.sort(key=lambda part: ("/" in part, part in _LEARNT))
    register_family(
        _shown(name),
        parts=parts,
        usual=usual,
        about=about,
        layout=f"{folders[0]}/instances.json and images/ (or LISA's 'dataset', with refer_seg/)",
        open=_opener(name, folders, families, source),
    )


_GAME = ("val", "testA", "testB")
_register("refcoco", "short expressions from a game", "refCOCO (Yu et al. 2016)", _GAME)
_register("refcoco+", "expressions without words of place", "refCOCO+ (Yu et al. 2016)", _GAME)
_register("refcocog", "long expressions", "refCOCOg (Mao et al. 2016)", ("val", "test"))
_register("refclef", "pictures of SAIAPR TC-12", "refCLEF (Kazemzadeh et al. 2014)", _GAME)
_register(
    "grefcoco", "no, one or several things meant", "gRefCOCO (Liu et al. 2023)", _GAME, ("gres",)
)
_register(
    "ref_zom",
    "zero, one or many things meant; scored apart",
    "Ref-ZOM (Hu et al. 2023)",
    ("test",),
    ("ref_zom",),
    ("ref-zom", "refzom"),
)
