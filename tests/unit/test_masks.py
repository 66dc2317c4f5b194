from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from lisa.errors import DataError
from lisa.masks import decode_rle, encode_rle, mask_to_box, polygons_to_mask
from lisa.types import ImageSize

MASKS = arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40)))


@given(MASKS)
def test_round_trip(mask: np.ndarray):
    rle = encode_rle(mask)
    assert json.loads(json.dumps(rle)) == rle
    decoded = decode_rle(rle)
    assert decoded.dtype == bool
    assert np.array_equal(decoded, mask)


@given(MASKS)
def test_text_is_what_pycocotools_writes_and_reads(mask: np.ndarray):
    theirs = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    assert encode_rle(mask) == {"size": list(mask.shape), "counts": theirs["counts"].decode()}
    assert np.array_equal(decode_rle(theirs), mask)


@given(MASKS)
def test_plain_run_lengths(mask: np.ndarray):
    flat = mask.flatten(order="F")
    borders = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *borders, flat.size]).tolist()
    runs = [0, *runs] if flat[0] else runs
    assert np.array_equal(decode_rle({"size": list(mask.shape), "counts": runs}), mask)


def test_wide_runs():
    mask = np.zeros((3000, 2000), bool)
    mask[1500:, 700:] = True
    assert np.array_equal(decode_rle(encode_rle(mask)), mask)


@settings(max_examples=300)
@given(st.binary(max_size=60), st.integers(1, 30), st.integers(1, 30))
def test_random_bytes_decode_or_give_a_sentence(counts: bytes, height: int, width: int):
    try:
        mask = decode_rle({"size": [height, width], "counts": counts})
    except DataError:
        return
    assert mask.shape == (height, width)


GOOD = encode_rle(np.eye(4, dtype=bool))


@pytest.mark.parametrize(
    ("rle", "words"),
    [
        ({"size": [100_000, 100_000], "counts": "01"}, "above the limit"),
        ({"size": [4, 5], "counts": GOOD["counts"]}, "cover 16 pixels"),
        ({"size": [3, 5], "counts": GOOD["counts"]}, "leave its size"),
        ({"size": [4, 4], "counts": GOOD["counts"][:-1]}, "damaged"),
        ({"size": [4, 4], "counts": GOOD["counts"] + "o"}, "cut off"),
        ({"size": [4, 4], "counts": "o" * 20}, "no run lengths"),
        ({"size": [4, 4], "counts": "0" * 1000}, "characters of runs"),
        ({"size": [4, 4], "counts": ""}, "cover 0 pixels"),
        ({"size": [4, 4], "counts": "ä"}, "no run lengths"),
        ({"size": [4, 4], "counts": "\n\n"}, "no run lengths"),
        ({"size": [4, 4], "counts": [16.0]}, "whole numbers"),
        ({"size": [4, 4], "counts": [-1, 17]}, "leave its size"),
        ({"size": [4, 4], "counts": [10**30]}, "leave its size"),
        ({"size": [4, 4], "counts": [True] * 16}, "whole numbers"),
        ({"size": [4, 4], "counts": 7}, "not int"),
        ({"size": [4, 4]}, "not NoneType"),
        ({"counts": GOOD["counts"]}, "'size'"),
        ({"size": [4], "counts": ""}, "'size'"),
        ({"size": [0, 4], "counts": ""}, "'size'"),
        ({"size": [-4, -4], "counts": ""}, "'size'"),
        ({"size": ["4", "4"], "counts": ""}, "'size'"),
        ({"size": [4.0, 4.0], "counts": ""}, "'size'"),
        ([], "must be a record"),
    ],
)
def test_damaged_run_lengths(rle: dict, words: str):
    with pytest.raises(DataError, match=words):
        decode_rle(rle)


def test_limit_is_the_callers():
    with pytest.raises(DataError, match="limit of 15 pixels"):
        decode_rle(GOOD, max_pixels=15)
    assert decode_rle(GOOD, max_pixels=16).sum() == 4


def test_bomb_takes_no_memory():
    """In a process that may take 1 GB, a mask of ten billion pixels still gets its sentence."""
    code = (
        "import resource; from lisa.masks import decode_rle; from lisa.errors import DataError\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "try: decode_rle({'size': [100_000, 100_000], 'counts': '01'})\n"
        "except DataError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "refused\n", done.stderr


# --- Boxes --------------------------------------------------------------------------------------


@given(MASKS)
def test_box_holds_the_mask_and_nothing_more(mask: np.ndarray):
    box = mask_to_box(mask)
    if box is None:
        assert not mask.any()
        return
    x0, y0, x1, y1 = (int(edge) for edge in box)
    assert mask[y0:y1, x0:x1].sum() == mask.sum()
    for edge in (mask[y0, x0:x1], mask[y1 - 1, x0:x1], mask[y0:y1, x0], mask[y0:y1, x1 - 1]):
        assert edge.any()


def test_box_of_one_pixel_has_its_size():
    mask = np.zeros((5, 7), bool)
    mask[2, 3] = True
    assert mask_to_box(mask) == (3.0, 2.0, 4.0, 3.0)


@pytest.mark.parametrize("shape", [(), (4,), (1, 4, 4)])
def test_masks_have_two_sides(shape: tuple[int, ...]):
    for function in (encode_rle, mask_to_box):
        with pytest.raises(DataError, match="height, width"):
            function(np.zeros(shape, bool))


# --- Polygons -----------------------------------------------------------------------------------


def test_rectangle():
    mask = polygons_to_mask([[1, 2, 6, 2, 6, 5, 1, 5]], ImageSize(8, 10))
    expected = np.zeros((8, 10), bool)
    expected[2:5, 1:6] = True
    assert np.array_equal(mask, expected)


@given(st.lists(st.lists(st.floats(-5, 25), min_size=6, max_size=20), min_size=1, max_size=3))
def test_polygons_fill_as_coco_does(polygons: list[list[float]]):
    polygons = [polygon[: len(polygon) // 2 * 2] for polygon in polygons]
    theirs = coco.decode(coco.merge(coco.frPyObjects(polygons, 16, 16))).astype(bool)
    assert np.array_equal(polygons_to_mask(polygons, ImageSize(16, 16)), theirs)


def test_no_polygons_is_an_empty_mask():
    assert not polygons_to_mask([], ImageSize(3, 4)).any()


@pytest.mark.parametrize(
    "polygon",
    [
        [],
        [1, 2, 3, 4],
        [1, 2, 3, 4, 5, 6, 7],
        [0, 0, 1e9, 0, 0, 1e9],
        [0, 0, -1e9, 0, 0, 5],
        [0, 0, float("nan"), 0, 0, 5],
        [0, 0, float("inf"), 0, 0, 5],
        ["a", 0, 1, 0, 0, 5],
        [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0], [1, 1]],
        [0.0] * 300_000,
    ],
)
def test_bad_polygons(polygon: list):
    with pytest.raises(DataError):
        polygons_to_mask([polygon], ImageSize(8, 8))


def test_polygon_on_a_huge_picture():
    with pytest.raises(DataError, match="above the limit"):
        polygons_to_mask([[0, 0, 1, 0, 1, 1]], ImageSize(10**6, 10**6))
