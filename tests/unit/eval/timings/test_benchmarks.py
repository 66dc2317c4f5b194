"""Every benchmark measures what it says, at sizes that take no time."""

from __future__ import annotations

import math
from importlib.metadata import entry_points

import pytest
import torch

from eval.speed import BENCHMARK_GROUP
from eval.timings import load, sam, segment, tag
from eval.timings.random_pipelines import random_pipeline
from lisa.errors import DataError
from lisa.measurement import Measurement
from lisa.tagging import Tagger, TagInfo
from tests.tiny_tagging import NAMES, tiny_model
from tests.unit.eval.timings.sizes import TINY
from tests.unit.segmenters import tiny_sam

CPU = torch.device("cpu")


def all_finite(found: dict[str, Measurement]) -> bool:
    return all(math.isfinite(one.median) and one.median >= 0 for one in found.values())


def test_all_are_found() -> None:
    names = {entry.name for entry in entry_points(group=BENCHMARK_GROUP)}
    assert names == {"chat", "eval", "large", "load", "sam", "segment", "tag", "train"}


def test_segment() -> None:
    found = segment.compare(lambda packed: random_pipeline(CPU, TINY, packed), rounds=2)
    assert {"first_turn", "second_turn", "first_turn_work"} <= found.keys()
    assert all_finite(found)
    assert found["first_turn"].ratio is not None
    # Twelve tokens read twelve pictures and conversations instead of one.
    work = found["first_turn_work"].ratio
    assert work is not None and work > 3


def test_sam() -> None:
    found = sam.compare(sam.Case(tiny_sam.CONFIG, 2, torch.float32), CPU, rounds=1)
    assert {"pictures", "error", "share_of_ceiling"} <= found.keys()
    assert all_finite(found)
    assert found["error"].median < 1e-5


def test_tag() -> None:
    tagger = Tagger(tiny_model("recognize-anything"), [TagInfo(name, 0.5) for name in NAMES])
    found = tag.compare(tagger, tagger, tag._pictures()[:2], rounds=1)
    assert found.median > 0 and found.ratio is not None


def test_load_says_what_failed() -> None:
    with pytest.raises(DataError, match=r"timed failed: (.|\n)*ValueError: oh"):
        load._run(["-c", "raise ValueError('oh')"], {})
    load._run(
        ["-c", "import os; assert os.environ['LISA_CACHE'] == 'here'"], {"LISA_CACHE": "here"}
    )
