"""Mask scores against values recorded from the original implementations."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from eval.metrics import PixelCounts, count_pixels, score_as_released
from tests.parity.golden import Case, each_case, tolerance

IGNORED = 255

each_lisa = each_case("lisa_metrics")


def _load(case: Case) -> tuple[dict[str, Any], list[tuple[np.ndarray, np.ndarray]], float]:
    expected = json.loads((case.path / "expected.json").read_text(encoding="utf-8"))
    tensors = {name: value.numpy() for name, value in case.tensors("inputs.safetensors").items()}
    pairs = range(expected["n_pairs"])
    read = [(tensors[f"logits.{i}"] > 0, tensors[f"target.{i}"]) for i in pairs]
    return expected, read, tolerance(case.manifest, "scores")[0]


def _foreground(prediction: np.ndarray, target: np.ndarray) -> PixelCounts:
    return count_pixels(prediction, target == 1, ignore=target == IGNORED)


@each_lisa
def test_counts_of_each_pair_are_exact(case: Case) -> None:
    expected, pairs, _ = _load(case)
    assert pairs
    for row in expected["per_pair"]:
        prediction, target = pairs[row["pair"]]
        ignore = target == IGNORED
        background = count_pixels(~prediction, target == 0, ignore)
        foreground = _foreground(prediction, target)
        for index, counts in enumerate((background, foreground)):
            assert counts.intersection == row["intersection"][index], row["kind"]
            assert counts.union == row["union"][index], row["kind"]
            assert counts.target == row["target"][index], row["kind"]
            # The original adds 1e-5 to the union, which shows in unions of a few pixels.
            assert counts.iou == pytest.approx(row["iou_with_empty_rule"][index], abs=1e-5)


@each_lisa
def test_scores_of_single_pairs(case: Case) -> None:
    expected, pairs, atol = _load(case)
    for row in expected["per_pair"]:
        alone = score_as_released([_foreground(*pairs[row["pair"]])])
        assert alone.giou == pytest.approx(row["validate_giou_alone"], abs=atol), row["kind"]
        assert alone.ciou == pytest.approx(row["validate_ciou_alone"], abs=atol), row["kind"]


@each_lisa
def test_scores_of_all_pairs_do_not_depend_on_grouping(case: Case) -> None:
    expected, pairs, atol = _load(case)
    records = [_foreground(*pair) for pair in pairs]
    grouped = [records[i] for image in expected["images_of_several_masks"] for i in image]
    for recorded, kept in (("all_pairs_one_per_image", records), ("grouped_images", grouped)):
        scores = score_as_released(kept)
        assert scores.n == len(pairs)
        assert scores.giou == pytest.approx(expected[recorded]["giou"], abs=atol)
        assert scores.ciou == pytest.approx(expected[recorded]["ciou"], abs=atol)
