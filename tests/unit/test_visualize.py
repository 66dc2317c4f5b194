from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lisa.errors import DataError
from lisa.masks import mask_to_box
from lisa.types import Segment
from lisa.visualize import COLOURS, draw_segments


def segment(mask: np.ndarray, phrase: str | None = None) -> Segment:
    status = "found" if mask.any() else "empty"
    return Segment(mask, mask_to_box(mask), 0.9, status, phrase, (0, 5))


def square(size: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def test_only_the_mask_and_its_label_change():
    grey = Image.new("RGB", (300, 200), (90, 90, 90))
    mask = square((200, 300), (100, 80, 200, 160))
    drawn = np.asarray(draw_segments(grey, [segment(mask)]))
    below_label = drawn[80:]
    changed = (below_label != 90).any(axis=-1)
    assert np.array_equal(changed, mask[80:])
    assert (np.asarray(grey) == 90).all()


def test_outline_is_opaque_and_inside():
    mask = square((200, 300), (100, 80, 200, 160))
    drawn = np.asarray(draw_segments(Image.new("RGB", (300, 200)), [segment(mask)]))
    assert tuple(drawn[159, 150]) == COLOURS[0]
    assert tuple(drawn[120, 150]) != COLOURS[0]


def test_mask_at_the_border_has_an_outline():
    mask = square((200, 300), (0, 100, 300, 200))
    drawn = np.asarray(draw_segments(Image.new("RGB", (300, 200)), [segment(mask)]))
    assert tuple(drawn[199, 150]) == COLOURS[0]
    assert tuple(drawn[150, 0]) == COLOURS[0]


def test_colours_differ_and_repeat():
    mask = square((40, 60), (10, 30, 20, 40))
    many = [segment(mask) for _ in range(2 * len(COLOURS) + 1)]
    assert draw_segments(Image.new("RGB", (60, 40)), many).size == (60, 40)


@pytest.mark.parametrize(
    "phrase", [None, "", "the cup", "Ärmel", "杯子 🍵", "long " * 50, "two\nlines"]
)
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (7, 9), (400, 300)])
def test_any_label_on_any_size(phrase: str | None, size: tuple[int, int]):
    mask = np.ones(size, bool)
    drawn = draw_segments(Image.new("RGB", size[::-1]), [segment(mask, phrase)])
    assert drawn.size == size[::-1]


def test_empty_and_no_segments_leave_the_picture():
    image = Image.new("RGB", (30, 20), (1, 2, 3))
    empty = segment(np.zeros((20, 30), bool))
    for segments in ([], [empty]):
        assert np.array_equal(np.asarray(draw_segments(image, segments)), np.asarray(image))


def test_wrong_size_gives_a_sentence():
    with pytest.raises(DataError, match=r"\(20, 30\).*\(30, 20\)"):
        draw_segments(Image.new("RGB", (20, 30)), [segment(np.ones((20, 30), bool))])
