"""The four sets of the `refer` toolkit in LISA's layout: pickles of Python 2, COCO's JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.data_sets.coco_2014 import Picture, Thing, instances, sentence
from tests.data_sets.drawing import packed
from tests.data_sets.python2_pickle import python2_pickle

# Two boxes of the second woman overlap: the toolkit counts the shared pixels twice.
WOMEN = Picture(
    581857,
    (40, 56),
    (
        Thing(1719310, 1, ((4, 6, 18, 36),)),
        Thing(1719311, 1, ((24, 8, 38, 36), (30, 20, 50, 30))),
    ),
)
DOGS = Picture(
    98304, (52, 44), (Thing(3007, 18, ((6, 10, 20, 44),)), Thing(3008, 18, ((26, 20, 40, 48),)))
)
WALK = Picture(
    519404, (36, 60), (Thing(4001, 1, ((8, 4, 20, 34),)), Thing(4002, 18, ((30, 18, 52, 32),)))
)
CLEF = Picture(25, (44, 48), (Thing(5001, 1, ((10, 8, 30, 40),)),))
CLEF_TEST = Picture(1026, (40, 44), (Thing(5002, 18, ((4, 20, 36, 36),)),))
BY_ID = {picture.id: picture for picture in (WOMEN, DOGS, WALK, CLEF, CLEF_TEST)}

# ref_id, image_id, ann_id, split, sentences.
RefRow = tuple[int, int, int, str, tuple[str, ...]]
_COCO_ROWS: tuple[RefRow, ...] = (
    (0, 581857, 1719310, "train", ("the lady with the red shirt", "left lady")),
    (1, 98304, 3007, "train", ("red dog",)),
    (2, 581857, 1719311, "train", ("lady in blue", "right lady", "woman with outstretched arm")),
)
_GAME_ROWS: tuple[RefRow, ...] = (
    *_COCO_ROWS,
    (3, 98304, 3008, "val", ("dog on the right",)),
    (4, 519404, 4001, "testA", ("man in red",)),
    (5, 519404, 4002, "testB", ("blue dog",)),
)
_UMD_ROWS: tuple[RefRow, ...] = (
    *_COCO_ROWS,
    (3, 519404, 4001, "val", ("a person walking a blue dog",)),
    (4, 519404, 4002, "test", ("a blue dog that is led by a person",)),
)
_CLEF_ROWS: tuple[RefRow, ...] = (
    (0, 25, 5001, "train", ("red man", "guy in the middle")),
    (1, 1026, 5002, "testB", ("the dog",)),
)
ROWS = {
    "refcoco": ("unc", _GAME_ROWS),
    "refcoco+": ("unc", _GAME_ROWS),
    "refcocog": ("umd", _UMD_ROWS),
    "refclef": ("unc", _CLEF_ROWS),
}


def ref(row: RefRow) -> dict[str, Any]:
    """One entry of a refs file."""
    ref_id, image_id, ann_id, split, texts = row
    first = 10 * ref_id
    return {
        "sent_ids": list(range(first, first + len(texts))),
        "file_name": f"COCO_train2014_{image_id:012d}_{ann_id}.jpg",
        "ann_id": ann_id,
        "ref_id": ref_id,
        "image_id": image_id,
        "split": split,
        "sentences": [sentence(first + n, text) for n, text in enumerate(texts)],
        "category_id": 1,
    }


def _clef_instances() -> dict[str, Any]:
    """RefCLEF has lists of packed run lengths, and a folder in the pictures' names."""
    content = instances((CLEF, CLEF_TEST))
    for image in content["images"]:
        image["file_name"] = f"{image['id'] // 1000:02d}/images/{image['id']}.jpg"
    for annotation in content["annotations"]:
        mask = BY_ID[annotation["image_id"]].mask(annotation["id"])
        annotation["segmentation"] = [packed(mask)]
    return content


def write(root: Path) -> None:
    """Write the folder `refer_seg`."""
    for name, (made_by, rows) in ROWS.items():
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        refs = [ref(row) for row in rows]
        (folder / f"refs({made_by}).p").write_bytes(python2_pickle(refs))
        content = _clef_instances() if name == "refclef" else instances((WOMEN, DOGS, WALK))
        (folder / "instances.json").write_text(json.dumps(content), encoding="utf-8")
    for picture in (WOMEN, DOGS, WALK):
        picture.show(root / "images" / "mscoco" / "images" / "train2014" / picture.file_name)
    for picture in (CLEF, CLEF_TEST):
        name = f"{picture.id // 1000:02d}/images/{picture.id}.jpg"
        picture.show(root / "images" / "saiapr_tc-12" / name)
