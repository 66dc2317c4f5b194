from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lisa.data.readers.coco_index import CocoIndex, read_coco, scan_coco
from lisa.errors import DataError
from tests.data_sets.drawing import packed, polygon, rectangle

SIZE = (20, 30)
BOX = (3, 4, 20, 15)
DOCUMENT: dict[str, Any] = {
    "images": [
        {"id": 9, "file_name": "a/9.jpg", "height": 20, "width": 30, "license": 3},
        {"id": 4, "file_name": "4.jpg", "height": 5, "width": 6},
    ],
    "annotations": [
        {"id": 70, "image_id": 9, "category_id": 2, "segmentation": [polygon(BOX)], "iscrowd": 0},
        {"id": 71, "image_id": 9, "category_id": 1, "segmentation": [], "iscrowd": 1},
    ],
    "categories": [{"id": 1, "name": "cup"}, {"id": 2, "name": "wine glass"}],
}


def write(folder: Path, document: object) -> Path:
    path = folder / "instances.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def with_segmentation(folder: Path, segmentation: object) -> CocoIndex:
    document = copy.deepcopy(DOCUMENT)
    document["annotations"][0]["segmentation"] = segmentation
    return read_coco(write(folder, document))


def plain_runs(mask: np.ndarray) -> dict[str, Any]:
    flat = np.concatenate([[False], mask.flatten(order="F")])
    borders = np.flatnonzero(np.diff(flat))
    edges = [0, *borders.tolist(), flat.size - 1]
    return {"size": list(mask.shape), "counts": np.diff(edges).tolist()}


def test_index(tmp_path: Path):
    index = read_coco(write(tmp_path, DOCUMENT))
    assert list(index.images) == [9, 4] and index.images[9].size == SIZE
    assert index.images[9].file_name == "a/9.jpg"
    assert index.categories == {1: "cup", 2: "wine glass"}
    assert {key: [a.id for a in some] for key, some in index.annotations_of.items()} == {
        9: [70, 71],
        4: [],
    }
    glass, crowd = index.annotations.values()
    assert index.category_of(glass) == "wine glass"
    assert (glass.is_crowd, crowd.is_crowd) == (False, True)
    assert not index.mask_of(crowd).read().any()


@given(mask=arrays(bool, SIZE))
def test_all_forms_of_a_region(tmp_path_factory: pytest.TempPathFactory, mask: np.ndarray):
    folder = tmp_path_factory.getbasetemp()
    halves = [mask & (np.arange(30) < 15), mask & (np.arange(30) >= 15)]
    for form in (packed(mask), plain_runs(mask), [packed(half) for half in halves]):
        index = with_segmentation(folder, form)
        assert np.array_equal(index.mask_of(index.annotations[70]).read(), mask)


@given(
    boxes=st.lists(
        st.tuples(st.integers(0, 14), st.integers(0, 9), st.integers(15, 30), st.integers(10, 20)),
        min_size=1,
        max_size=3,
    )
)
def test_polygons_and_annotations_are_united(
    tmp_path_factory: pytest.TempPathFactory, boxes: list[tuple[int, int, int, int]]
):
    folder = tmp_path_factory.getbasetemp()
    index = with_segmentation(folder, [polygon(box) for box in boxes])
    union = np.logical_or.reduce([rectangle(SIZE, box) for box in boxes])
    assert np.array_equal(index.mask_of(*index.annotations_of[9]).read(), union)


MISSING = object()
FAULTS: dict[str, tuple[str | int | object, ...]] = {
    "image 4: 'height' must be a whole number above zero, not missing": (
        "images",
        1,
        "height",
        MISSING,
    ),
    "image 4: 'width' must be a whole number above zero, not 0": ("images", 1, "width", 0),
    "image 9: 'file_name' must be a text, not 9": ("images", 0, "file_name", 9),
    "image number 2: 'id' must be a whole number, not '4'": ("images", 1, "id", "4"),
    "image number 1: it must be an object, not str": ("images", 0, "9.jpg"),
    "image 9: the id 9 is taken": ("images", 1, "id", 9),
    "category 2: 'name' must be a text, not missing": ("categories", 1, "name", MISSING),
    "annotation 70: 'image_id' must be .*, not missing": ("annotations", 0, "image_id", MISSING),
    "annotation 71: there is no image 5": ("annotations", 1, "image_id", 5),
    "annotation 71: 'category_id' must be .*, not 1.5": ("annotations", 1, "category_id", 1.5),
    "annotation 71: 'iscrowd' must be 0 or 1, not 'no'": ("annotations", 1, "iscrowd", "no"),
    "annotation 70: the id 70 is taken": ("annotations", 1, "id", 70),
    "annotation 70: 'segmentation' .* not missing": ("annotations", 0, "segmentation", MISSING),
    "annotation 70: 'segmentation' .* not 'x'": ("annotations", 0, "segmentation", "x"),
    r"annotation 71: 'segmentation' .* not \[1, 2": ("annotations", 1, "segmentation", [1, 2, 3]),
}


@pytest.mark.parametrize("message", FAULTS)
def test_damaged_records_are_named(tmp_path: Path, message: str):
    document = copy.deepcopy(DOCUMENT)
    *way, key, value = FAULTS[message]
    place: Any = document
    for step in way:
        place = place[step]
    if value is MISSING:
        del place[key]
    else:
        place[key] = value
    path = write(tmp_path, document)
    with pytest.raises(DataError, match="instances.json', " + message):
        read_coco(path)
    index, faults = scan_coco(path)
    sound = len(index.images) + len(index.annotations) + len(index.categories)
    assert sound + len(faults) == 6


def test_all_faults_are_counted(tmp_path: Path):
    document = copy.deepcopy(DOCUMENT)
    del document["annotations"][0]["image_id"]
    del document["categories"][0]["name"]
    path = write(tmp_path, document)
    with pytest.raises(DataError, match=r"category 1: .* \(1 more record of this file is faulty"):
        read_coco(path)
    assert len(scan_coco(path)[1]) == 2


@pytest.mark.parametrize("document", [[], {"images": [], "categories": []}, {"images": 3}])
def test_other_json(tmp_path: Path, document: object):
    with pytest.raises(DataError, match="instances.json' is not in COCO's format"):
        read_coco(write(tmp_path, document))


def test_unknown_category_and_damaged_masks_name_the_annotation(tmp_path: Path):
    index = with_segmentation(tmp_path, [[1.0, 2.0, 3.0]])
    with pytest.raises(DataError, match="instances.json', annotation 70: a polygon needs"):
        index.mask_of(index.annotations[70]).read()
    index = with_segmentation(tmp_path, packed(np.ones((4, 4), dtype=bool)))
    with pytest.raises(DataError, match="annotation 70: a mask has 4 x 4 pixels"):
        index.mask_of(index.annotations[70]).read()
    document = copy.deepcopy(DOCUMENT)
    document["annotations"][0]["category_id"] = 3
    index = read_coco(write(tmp_path, document))
    with pytest.raises(DataError, match="annotation 70: there is no category 3"):
        index.category_of(index.annotations[70])
