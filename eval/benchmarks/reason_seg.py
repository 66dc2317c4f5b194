"""ReasonSeg, asked as LISA's own validation asks.

Of the texts of a picture only the first is asked, in validation and test, in capitals and small
letters as it is written; so every picture counts once. Short queries, which name or describe a
thing, and long ones, which are sentences, are scored apart as well. A picture whose target has no
pixels, or only ignored ones, counts: the empty mask is right for it.

Where there are only the copies in Parquet files (`lisa.data.readers.reason_seg_parquet`), those are
asked; they have lost the ignored pixels, so their scores are others, which `source` says.
"""

from __future__ import annotations

from pathlib import Path

from eval.benchmarks.contract import MAX_NEW_TOKENS, Benchmark, register_family
from eval.benchmarks.expressions import subsets_of
from eval.benchmarks.lazy_pictures import record_pictures
from eval.benchmarks.places import find_root
from eval.data_sets import Asked
from lisa.data.readers import open_reader
from lisa.data.records import Record
from lisa.data.wordings import Wording

NAME = "reasonseg"
PARTS = ("val", "test", "train")
SHORT, LONG = "short", "long"

_PLACES = (".", "ReasonSeg", "reason_seg/ReasonSeg")
_LAYOUT = (
    "{val,test}/*.jpg and *.json (it may be LISA's 'dataset', with reason_seg/ReasonSeg/... in it) "
    "or with the Parquet files of a copy"
)
_PARQUET_PLACES = ("ReasonSeg_{part}", "reason_seg/ReasonSeg_{part}", ".")


def first_text(_: int, record: Record) -> list[Asked]:
    """Return the one question about a record of ReasonSeg."""
    asked = []
    for target in record.targets:
        said = target.expressions[0]
        length = LONG if said.wording == "sentence" else SHORT
        subsets = (length, *subsets_of(target))
        asked.append(Asked(said, (target,), subsets, lowered=False))
    return asked


def _open(part: str, data: Path, wording: Wording) -> Benchmark:
    name = f"{NAME}:{part}"
    parquet = None if _holds_release(data) else _parquet_folder(data, part)
    if parquet is not None:
        reader = open_reader("reason_seg_parquet", parquet)
        source = (
            "ReasonSeg (Lai et al. 2023), copy in Parquet files without ignored pixels; the first "
            "text of each picture is asked"
        )
    else:
        reader = open_reader("reason_seg", find_root(name, data, _PLACES, PARTS), part)
        source = "ReasonSeg (Lai et al. 2023); the first text of each picture is asked"
    pictures = record_pictures(reader, name, wording, first_text)
    return Benchmark(name, "masks", (), pictures, MAX_NEW_TOKENS, source)


def _holds_release(data: Path) -> bool:
    return any((data / place / part).is_dir() for place in _PLACES for part in PARTS)


def _parquet_folder(data: Path, part: str) -> Path | None:
    """Return the folder of a copy that may hold the part.

    Copies call their only split "test", whichever it is: their folder's name tells.
    """
    for place in _PARQUET_PLACES:
        folder = data / place.format(part=part)
        called = folder.resolve().name.lower()
        if any(called.endswith(f"_{other}") for other in PARTS if other != part):
            continue
        forms = ("*.parquet", "data/*.parquet", "state.json")
        if any(next(folder.glob(form), None) for form in forms):
            return folder
    return None


register_family(
    NAME,
    parts=PARTS,
    usual=("val", "test"),
    about="reasoning about what is meant; short and long queries apart",
    layout=_LAYOUT,
    open=_open,
)
