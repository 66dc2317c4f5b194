"""Data sets on disk as sequences of records; see `contract.py` for how to add one."""

# Each of these enters itself in READERS.
from lisa.data.readers import (
    ade20k,
    coco_stuff,
    d3,
    grefcoco,
    lisa_plus,
    llava_instruct,
    mapillary,
    own_coco,
    own_hub,
    own_jsonl,
    own_labelme,
    paco_lvis,
    pascal_part,
    reason_seg,
    reason_seg_parquet,
    ref_zom,
    refer,
)
from lisa.data.readers.contract import READERS, Reader, Task, open_reader

__all__ = [
    "READERS",
    "Reader",
    "Task",
    "ade20k",
    "coco_stuff",
    "d3",
    "grefcoco",
    "lisa_plus",
    "llava_instruct",
    "mapillary",
    "open_reader",
    "own_coco",
    "own_hub",
    "own_jsonl",
    "own_labelme",
    "paco_lvis",
    "pascal_part",
    "reason_seg",
    "reason_seg_parquet",
    "ref_zom",
    "refer",
]
