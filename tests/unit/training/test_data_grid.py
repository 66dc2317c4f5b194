from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from lisa.data.mask_sources import BoxMask
from lisa.data.readers.own_jsonl import JsonLines
from lisa.data.records import Dialogue
from lisa.errors import DataError
from lisa.types import Conversation, ImageSize
from lisa.visualize import GRID_MARGIN
from tests.data_sets import own_jsonl
from tests.unit.odd_files import file_bytes, photo
from training.commands.data_grid import draw_samples
from training.samples import Sample, SampleSettings, draw_sample

SIZE = ImageSize(40, 60)
PICTURE = file_bytes(photo(60, 40), "PNG")
HALF = BoxMask((0, 0, 30, 40), SIZE)


def sample(question: str = "cup?", *masks: BoxMask) -> Sample:
    answer = " ".join(["[SEG]"] * len(masks)) or "No."
    return Sample(
        "key", PICTURE, (Dialogue(Conversation().ask(question, 0).answer(answer), masks),)
    )


@pytest.mark.parametrize(("count", "columns"), [(1, 4), (3, 2), (4, 4), (5, 1)])
def test_size_of_the_grid(count: int, columns: int):
    cell = 90
    grid = draw_samples([sample()] * count, columns, cell)
    across = min(columns, count)
    assert grid.width == across * (cell + GRID_MARGIN) + GRID_MARGIN
    one = draw_samples([sample()], 1, cell)
    assert grid.height - GRID_MARGIN == -(-count // across) * (one.height - GRID_MARGIN)


def test_masks_are_drawn_where_they_are():
    bare = np.asarray(draw_samples([sample("cup?")], 1, 120)).astype(int)
    drawn = np.asarray(draw_samples([sample("cup?", HALF)], 1, 120)).astype(int)
    changed = np.abs(drawn - bare).any(axis=2)[
        GRID_MARGIN : GRID_MARGIN + 80, GRID_MARGIN : GRID_MARGIN + 120
    ]
    assert changed[30:, :60].mean() > 0.95
    assert not changed[30:, 62:].any()


def test_words_stand_below_and_stay_in_their_cell():
    words = (
        "extraordinarily " * 40 + "w" * 300 + " caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{HAMMER}"
    )
    grid = np.asarray(draw_samples([sample(words), sample()], 2, 100)).astype(int)
    gap = grid[:, GRID_MARGIN + 100 : 2 * GRID_MARGIN + 100]
    assert (gap > 200).all()
    assert (grid[GRID_MARGIN + 70 :, GRID_MARGIN : GRID_MARGIN + 100] < 100).any()


def test_samples_of_the_fixture(tmp_path: Path):
    own_jsonl.write(tmp_path)
    reader = JsonLines(tmp_path)
    rng = random.Random(0)
    samples = [draw_sample(reader[i], reader.task, SampleSettings(), rng) for i in range(3)]
    assert draw_samples(samples, 2, 200).mode == "RGB"


def test_nothing_to_draw_and_wrong_masks():
    with pytest.raises(DataError, match="nothing to show"):
        draw_samples([])
    with pytest.raises(DataError, match="key: a mask has 9 x 9 pixels"):
        draw_samples([sample("cup?", BoxMask((0, 0, 5, 5), ImageSize(9, 9)))])
