"""D3 in the released form: four pickles of objects by number, with numpy's arrays in one."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.data_sets.drawing import Colour, bounding_box, ellipse, labels, packed, photograph

# Sentences, of which the second is about something absent; the third belongs to another group.
SENTENCES = {
    1: ("a dog led by a rope", False),
    2: ("a dog not led by a rope", True),
    3: ("a red car", False),
}
GROUPS = {1: ("dog_walk", [1, 2]), 2: ("car", [3])}
SIZES = {0: (40, 56), 1: (52, 44), 2: (36, 60)}
GROUP_OF = {0: 1, 1: 1, 2: 2}
_COLOURS: dict[int, Colour] = {
    0: (120, 160, 120),
    1: (220, 40, 40),
    2: (40, 60, 220),
    3: (240, 220, 60),
}
# Annotation -> picture, sentences, box of its ellipse. The last is out of its picture's group.
REGIONS: dict[int, tuple[int, list[int], tuple[int, int, int, int]]] = {
    1: (0, [1], (4, 6, 24, 36)),
    2: (0, [1], (20, 8, 40, 36)),
    3: (0, [2], (42, 20, 54, 36)),
    4: (1, [2], (6, 10, 38, 44)),
    5: (2, [3], (4, 6, 30, 30)),
    6: (2, [1], (32, 8, 56, 34)),
}


def file_name(picture: int) -> str:
    return f"{GROUPS[GROUP_OF[picture]][0]}/{picture:04d}.jpg"


def planted(picture: int, sentence: int) -> NDArray[np.bool_]:
    """Where the sentence is true in the picture; nowhere if nothing is annotated."""
    mask = np.zeros(SIZES[picture], dtype=bool)
    for of, sentences, box in REGIONS.values():
        if of == picture and sentence in sentences:
            mask |= ellipse(SIZES[picture], box)
    return mask


def tables() -> dict[str, dict[int, dict[str, Any]]]:
    """The content of the pickles by name."""
    annotations = {}
    for key, (picture, sentences, box) in REGIONS.items():
        mask = ellipse(SIZES[picture], box)
        lengths = packed(mask)
        annotations[key] = {
            "id": key,
            "sent_id": sentences,
            "segmentation": [{**lengths, "counts": lengths["counts"].encode("ascii")}],
            "area": np.array([mask.sum()], dtype=np.uint32),
            "iscrowd": 0,
            "image_id": picture,
            "bbox": np.array([bounding_box(mask)]),
            "group_id": GROUP_OF[picture],
        }
    return {
        "annotations": annotations,
        "images": {
            key: {
                "id": key,
                "file_name": file_name(key),
                "height": size[0],
                "width": size[1],
                "flickr_url": "",
                "anno_id": [n for n, (picture, *_) in REGIONS.items() if picture == key],
                "group_id": GROUP_OF[key],
                "license": "",
            }
            for key, size in SIZES.items()
        },
        "sentences": {
            key: {
                "id": key,
                "anno_id": [n for n, (_, of, _) in REGIONS.items() if key in of],
                "group_id": [n for n, (_, inner) in GROUPS.items() if key in inner],
                "is_negative": negative,
                "raw_sent": text,
                "raw_sent_zh": "狗",
            }
            for key, (text, negative) in SENTENCES.items()
        },
        "groups": {
            key: {
                "id": key,
                "pos_sent_id": inner,
                "inner_sent_id": inner,
                "outer_sent_id": [],
                "img_id": [n for n, group in GROUP_OF.items() if group == key],
                "scene": ["street"],
                "group_name": name,
                "group_name_zh": "组",
            }
            for key, (name, inner) in GROUPS.items()
        },
    }


def write(root: Path) -> None:
    """Write the folder with what the archives of pictures and pickles unpack into."""
    folder = root / "d3_pkl"
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables().items():
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(table))
    for key, size in SIZES.items():
        regions = [(sentence, planted(key, sentence)) for sentence in SENTENCES]
        photograph(labels(size, 0, *regions), _COLOURS, root / "d3_images" / file_name(key))
