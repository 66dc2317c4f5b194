"""Packed weights, float16 and bfloat16 answer as float32 does, on scenes of the repository."""

from __future__ import annotations

import numpy as np
import pytest

from eval.nano.read_scenes import load_scenes
from lisa.pipeline import LisaPipeline
from lisa.types import Prediction

PICTURES = 20
QUESTIONS = 2
LEAST_IOU = 0.98


@pytest.fixture(scope="module")
def expected() -> list[Prediction]:
    return answers(dtype="float32", pack_weights=False)


def answers(**options) -> list[Prediction]:
    pipeline = LisaPipeline.from_pretrained("lisa-nano", device="cpu", offline=True, **options)
    said = []
    for picture in load_scenes()[:PICTURES]:
        encoded = pipeline.encode(picture.open())
        worded = [one.text for one in picture.questions if one.text is not None]
        said += [pipeline(encoded, text, max_new_tokens=32) for text in worded[:QUESTIONS]]
    return said


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    union = (one | other).sum()
    return 1.0 if union == 0 else float((one & other).sum() / union)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "float32"},
        {"dtype": "float16"},
        {"dtype": "bfloat16"},
        {"segmenter_dtype": "bfloat16"},
    ],
    ids=["packed", "weights in float16", "bfloat16", "segmenter in bfloat16"],
)
def test_the_same_words_and_masks(expected, options) -> None:
    found = answers(**options)
    assert [one.text for one in found] == [one.text for one in expected]
    for one, other in zip(found, expected, strict=True):
        for mine, theirs in zip(one.segments, other.segments, strict=True):
            if theirs.mask is not None:
                assert mine.mask is not None
                assert overlap(mine.mask, theirs.mask) >= LEAST_IOU
    assert sum(len(one.segments) for one in expected) >= PICTURES
