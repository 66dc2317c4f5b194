"""gRefCOCO in LISA's layout: refs to none, one or several things, in JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.data_sets.coco_2014 import Picture, Thing, instances, sentence

WOMEN = Picture(
    581857,
    (40, 56),
    (
        Thing(1719310, 1, ((4, 6, 18, 36),)),
        Thing(1719311, 1, ((24, 8, 38, 36), (30, 20, 50, 30))),
        Thing(900100581857, 1, ((0, 0, 56, 5),), is_crowd=True),
    ),
)
DOGS = Picture(
    98304, (52, 44), (Thing(3007, 18, ((6, 10, 20, 44),)), Thing(3008, 18, ((26, 20, 40, 48),)))
)
WALK = Picture(519404, (36, 60), (Thing(4001, 1, ((8, 4, 20, 34),)),))
PICTURES = (WOMEN, DOGS, WALK)
BY_ID = {picture.id: picture for picture in PICTURES}

# ref_id, image_id, ann_id, what is meant, split, sentence. Crowds do not count beside others.
ROWS: tuple[tuple[int, int, list[int], tuple[int, ...], str, str], ...] = (
    (1, 581857, [1719310, 1719311], (1719310, 1719311), "train", "both ladies"),
    (2, 581857, [1719311], (1719311,), "train", "right lady"),
    (3, 98304, [-1], (), "train", "the cat behind the dogs"),
    (4, 581857, [1719310, 900100581857], (1719310,), "train", "left lady and the rest"),
    (5, 581857, [900100581857], (900100581857,), "train", "the crowd at the back"),
    (6, 98304, [3007, 3008], (3007, 3008), "val", "all dogs"),
    (7, 98304, [-1], (), "val", "white horse"),
    (8, 519404, [4001], (4001,), "testA", "person"),
    (9, 519404, [-1], (), "testB", "the bus"),
)


def refs() -> list[dict[str, Any]]:
    """The content of `grefs(unc).json`."""
    return [
        {
            "image_id": image_id,
            "split": split,
            "sentences": [sentence(100 + ref_id, text)],
            "category_id": [-1] if ids == [-1] else [1] * len(ids),
            "ann_id": ids,
            "sent_ids": [100 + ref_id],
            "ref_id": ref_id,
            "no_target": ids == [-1],
            "file_name": BY_ID[image_id].file_name.replace(".jpg", f"_{ref_id}.jpg"),
        }
        for ref_id, image_id, ids, _, split, text in ROWS
    ]


def write(root: Path) -> None:
    """Write what the folder `refer_seg` holds of it."""
    folder = root / "grefcoco"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "grefs(unc).json").write_text(json.dumps(refs()), encoding="utf-8")
    (folder / "instances.json").write_text(json.dumps(instances(PICTURES)), encoding="utf-8")
    for picture in PICTURES:
        picture.show(root / "images" / "mscoco" / "images" / "train2014" / picture.file_name)
