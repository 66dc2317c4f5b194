from __future__ import annotations

import math

import pytest
import torch

from eval.timings import large
from eval.timings.random_pipelines import random_pipeline
from lisa.pipeline import LisaPipeline
from lisa.types import ImageSize
from tests.tiny import picture
from tests.unit.eval.timings.sizes import TINY


@pytest.fixture(scope="module")
def pipeline() -> LisaPipeline:
    return random_pipeline(torch.device("cpu"), TINY)


def test_every_case_is_measured_beside_its_prediction(pipeline: LisaPipeline) -> None:
    found = large.measure_all(pipeline, picture(30, 40), side=64, masks=3, turns=3, rows=4)
    assert found.keys() <= {"3_masks_of_64x64", "batch_of_4", "3_turns"}
    for one in found.values():
        assert math.isfinite(one.median) and one.median >= 0


@pytest.mark.parametrize("factor", [2, 3])
def test_memory_grows_in_proportion(pipeline: LisaPipeline, factor: int) -> None:
    size = ImageSize(50, 70)
    taller = ImageSize(50 * factor, 70)
    assert large.mask_bytes(8, taller) == factor * large.mask_bytes(8, size)
    one, more = (large.reading_bytes(pipeline, rows, 90, 100) for rows in (1, factor))
    assert more == factor * one
    # Twice as many tokens that were read before are twice as many keys and values, no more.
    begun, read, longer = (large.reading_bytes(pipeline, 1, 9, t) for t in (0, 1000, 1000 * factor))
    assert longer - begun == factor * (read - begun)
