"""Packed weights, float16 and bfloat16 answer as float32 does, on scenes of the repository."""

from __future__ import annotations

import pytest

from eval.nano.number_types import (
    LEAST_IOU,
    PLAIN,
    WAYS,
    Asked,
    answers,
    mask_ious,
    worded_questions,
)
from eval.nano.read_scenes import load_scenes
from eval.results import Answer

PICTURES = 20


@pytest.fixture(scope="module")
def asked() -> list[Asked]:
    return worded_questions(load_scenes()[:PICTURES], 2)


@pytest.fixture(scope="module")
def expected(asked: list[Asked]) -> list[Answer]:
    return answers(asked, "cpu", PLAIN)


@pytest.mark.slow
@pytest.mark.parametrize("way", [way for way in WAYS if way != "all in bfloat16"])
def test_the_same_words_and_masks(asked: list[Asked], expected: list[Answer], way: str) -> None:
    found = answers(asked, "cpu", WAYS[way])
    assert [one.text for one in found] == [one.text for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert len(one.segments) == len(other.segments)
        assert all(iou >= LEAST_IOU for iou in mask_ious(one, other))
    assert sum(len(one.segments) for one in expected) >= PICTURES
