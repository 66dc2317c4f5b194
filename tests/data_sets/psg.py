"""PSG as OpenPSG keeps it: `psg/psg.json` beside COCO's pictures and panoptic label pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lisa.masks import encode_rle
from tests.data_sets.drawing import Box, Colour, label_picture, photograph, rectangle

THINGS = ("person", "dog", "bench")
STUFF = ("grass", "sky")
PREDICATES = ("over", "in front of", "beside", "on", "holding")
_COLOURS: tuple[Colour, ...] = ((90, 90, 90), (220, 40, 40), (40, 60, 220), (240, 220, 60))

# image_id, folder, file, size, segments (class, box), relations, whether it is tested. Of the
# first picture a relation is there twice, and a pair has two predicates.
Row = tuple[str, str, str, tuple[int, int], tuple[tuple[int, Box], ...], list[list[int]], bool]
ROWS: tuple[Row, ...] = (
    (
        "107902",
        "train2017",
        "000000417720",
        (40, 56),
        ((0, (4, 4, 20, 30)), (1, (24, 14, 40, 34)), (3, (0, 34, 56, 40))),
        [[0, 1, 2], [0, 2, 3], [0, 1, 2], [1, 2, 3], [0, 1, 4]],
        True,
    ),
    ("2343", "train2017", "000000000283", (36, 44), ((2, (4, 4, 40, 30)),), [[0, 0, 0]], False),
    ("2344", "val2017", "000000000724", (44, 36), ((1, (2, 2, 30, 20)),), [], True),
    (
        "2400",
        "val2017",
        "000000000285",
        (52, 44),
        ((1, (6, 10, 38, 44)), (4, (0, 0, 44, 8))),
        [[1, 0, 0]],
        True,
    ),
)
TESTED = tuple(row for row in ROWS if row[6] and row[5])


def masks(row: Row) -> list[NDArray[np.bool_]]:
    """The segments of a picture."""
    return [rectangle(row[3], box) for _, box in row[4]]


def number(index: int) -> int:
    """Of a segment in the label picture: all three channels are needed for it."""
    return 200 + 300 * index + 70_000 * (index + 1)


def panoptic(size: tuple[int, int], regions: list[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """A label picture: `(H, W, 3)`, red the lowest digits."""
    numbers = np.zeros(size, np.int64)
    for index, region in enumerate(regions):
        numbers[region] = number(index)
    return np.stack([numbers // 256**place % 256 for place in range(3)], axis=-1).astype(np.uint8)


def _entry(row: Row) -> dict[str, Any]:
    image_id, folder, file, (height, width), segments, relations, _ = row
    return {
        "file_name": f"{folder}/{file}.jpg",
        "height": height,
        "width": width,
        "image_id": image_id,
        "coco_image_id": file.lstrip("0"),
        "pan_seg_file_name": f"panoptic_{folder}/{file}.png",
        "segments_info": [
            {
                "id": number(index),
                "category_id": category,
                "iscrowd": 0,
                "isthing": int(category < len(THINGS)),
                "area": int(rectangle((height, width), box).sum()),
            }
            for index, (category, box) in enumerate(segments)
        ],
        "annotations": [
            {"bbox": [float(n) for n in box], "bbox_mode": 0, "category_id": category}
            for category, box in segments
        ],
        "relations": relations,
    }


def write(root: Path, rows: tuple[Row, ...] = ROWS) -> None:
    """Write a folder with `psg` and `coco` in it."""
    for row in rows:
        name = f"{row[1]}/{row[2]}"
        label_picture(panoptic(row[3], masks(row)), root / "coco" / f"panoptic_{name}.png")
        shown = np.zeros(row[3], np.uint8)
        for index, region in enumerate(masks(row), 1):
            shown[region] = index
        photograph(shown, dict(enumerate(_COLOURS)), root / "coco" / f"{name}.jpg")
    document = {
        "data": [_entry(row) for row in rows],
        "thing_classes": list(THINGS),
        "stuff_classes": list(STUFF),
        "predicate_classes": list(PREDICATES),
        "test_image_ids": [row[0] for row in rows if row[6]],
    }
    (root / "psg").mkdir(parents=True, exist_ok=True)
    (root / "psg" / "psg.json").write_text(json.dumps(document), encoding="utf-8")


def write_submission(folder: Path, rows: tuple[Row, ...] = TESTED) -> None:
    """Write what OpenPSG hands in, with the right answers: classes and predicates from 1."""
    entries = []
    for row in rows:
        place = TESTED.index(row)
        regions = masks(row)
        label_picture(panoptic(row[3], regions), folder / "panseg" / f"{place}.png")
        entries.append(
            {
                "relations": [[s, o, predicate + 1] for s, o, predicate in row[5]],
                "segments_info": [
                    {"category_id": category + 1, "id": number(index)}
                    for index, (category, _) in enumerate(row[4])
                ],
                "pan_seg_file_name": f"{place}.png",
            }
        )
    (folder / "relation.json").write_text(json.dumps(entries), encoding="utf-8")


def line(row: Row, relations: list[tuple[int, int, int, float]]) -> dict[str, Any]:
    """A line of our own form, with the right masks and other relations."""
    classes = (*THINGS, *STUFF)
    return {
        "image_id": row[0],
        "segments": [
            {"category": classes[category], "mask": encode_rle(mask)}
            for (category, _), mask in zip(row[4], masks(row), strict=True)
        ],
        "relations": [
            {"subject": s, "object": o, "predicate": PREDICATES[p], "score": score}
            for s, o, p, score in relations
        ],
    }
