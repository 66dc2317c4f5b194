"""D3 and GRD: every sentence is asked of all pictures of a group, in some of which it is not true.

`d3:pres`, `d3:abs` and `d3:full` ask the sentences of the picture's own group: those that speak of
something present, of something absent, and both. `d3:inter/...` ask those of all groups of every
picture. GRD's own files were never published; D3 grew out of it, so `grd` asks D3's 316 sentences
of something present within their groups, which are those of GRD.

The truth of a sentence that is not true of a picture is empty.
"""

from __future__ import annotations

from pathlib import Path

from eval.benchmarks.contract import MAX_NEW_TOKENS, Benchmark, register_family
from eval.benchmarks.expressions import subsets_of
from eval.benchmarks.lazy_pictures import AskRule, record_pictures
from eval.benchmarks.places import find_root
from eval.data_sets import Asked
from lisa.data.readers.d3 import D3
from lisa.data.records import Record
from lisa.data.wordings import Wording

PRESENCE, ABSENCE = "presence", "absence"
_SORTS = {"pres": f"/{PRESENCE}", "abs": f"/{ABSENCE}", "full": ""}
_SPLITS = {
    f"{prefix}{part}": f"{setting}{sort}"
    for prefix, setting in (("", "intra"), ("inter/", "inter"))
    for part, sort in _SORTS.items()
}
_LAYOUT = "d3_images/ and d3_pkl/*.pkl"
_PLACES = (".", "d3", "D3")


def sentences_of(reader: D3) -> AskRule:
    """Return the rule that asks the sentences of a picture, each in its cohort.

    A cohort is `<number of the group>/<number of the sentence>`.
    """

    def rule(index: int, record: Record) -> list[Asked]:
        return [
            Asked(
                target.expressions[0],
                (target,),
                (ABSENCE if sentence.is_absence else PRESENCE, *subsets_of(target)),
                cohort=f"{sentence.group}/{sentence.sentence}",
            )
            for sentence, target in zip(reader.asked(index), record.targets, strict=True)
        ]

    return rule


def _open(name: str, split: str, data: Path, wording: Wording) -> Benchmark:
    reader = D3(find_root(name, data, _PLACES, ["d3_pkl"]), split)
    pictures = record_pictures(reader, name, wording, sentences_of(reader))
    source = f"D3 (Xie et al. 2023), setting {split}; every sentence is asked of every picture"
    return Benchmark(name, "masks", ("groups", "instances"), pictures, MAX_NEW_TOKENS, source)


register_family(
    "d3",
    parts=tuple(_SPLITS),
    usual=("full", "pres", "abs"),
    about="descriptions asked of groups of pictures; which pictures hold the thing at all",
    layout=_LAYOUT,
    open=lambda part, data, wording: _open(f"d3:{part}", _SPLITS[part], data, wording),
)
register_family(
    "grd",
    parts=(),
    about="group-wise referring: the sentences of d3:pres, with which GRD began",
    layout=_LAYOUT,
    open=lambda _, data, wording: _open("grd", _SPLITS["pres"], data, wording),
)
