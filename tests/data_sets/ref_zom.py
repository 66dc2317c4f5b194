"""Ref-ZOM as its own code wants it: refs with a `source`, pictures of both halves of COCO 2014."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

from tests.data_sets.coco_2014 import Picture, Thing, instances, sentence

DOGS = Picture(
    98304, (52, 44), (Thing(3007, 18, ((6, 10, 20, 44),)), Thing(3008, 18, ((26, 20, 40, 48),)))
)
WALK = Picture(519404, (36, 60), (Thing(4001, 1, ((8, 4, 20, 34),)),))
SOFA = Picture(42, (48, 40), (Thing(6001, 18, ((4, 12, 34, 40),)),), half="val2014")
PICTURES = (DOGS, WALK, SOFA)
BY_ID = {picture.id: picture for picture in PICTURES}

# ref_id, image_id, ann_id, what is meant, source, split, sentence. The expression of "zero" is
# another picture's, and so is its annotation.
ROWS: tuple[tuple[int, int, Any, tuple[int, ...], str, str, str], ...] = (
    (1, 98304, [3007, 3008], (3007, 3008), "many", "train", "two dogs sit side by side"),
    (2, 519404, [4001], (4001,), "one", "train", "a person in red"),
    (3, 98304, [4001], (), "zero", "train", "a person in red"),
    (4, 42, 6001, (6001,), "one", "test", "the dog on the sofa"),
    (5, 42, [], (), "zero", "test", "a boat on a lake"),
)


def refs() -> list[dict[str, Any]]:
    """The content of the pickle."""
    return [
        {
            "ref_id": ref_id,
            "ann_id": ids,
            "image_id": image_id,
            "split": split,
            "source": source,
            "file_name": BY_ID[image_id].file_name,
            "sent_ids": [10 * ref_id],
            "sentences": [sentence(10 * ref_id, text)],
        }
        for ref_id, image_id, ids, _, source, split, text in ROWS
    ]


def write(root: Path) -> None:
    """Write what the folder `refer_seg` holds of it."""
    folder = root / "ref-zom"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "refs(final).p").write_bytes(pickle.dumps(refs(), protocol=4))
    (folder / "instances.json").write_text(json.dumps(instances(PICTURES)), encoding="utf-8")
    for picture in PICTURES:
        picture.show(root / "images" / "mscoco" / "images" / "trainval2014" / picture.file_name)
