"""The automatic masks, with `segment_anything`'s own generator as oracle."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from segment_anything import SamAutomaticMaskGenerator

from lisa.errors import ConfigError
from lisa.masks import encode_rle
from lisa.models.segmenters import MaskPrompts, PromptablePicture, SamSegmenter
from lisa.relations import automatic_masks as module
from lisa.relations.automatic_masks import AutomaticMaskSettings, automatic_masks, settings_for
from lisa.relations.duplicates import mask_ious
from tests.tiny import picture
from tests.tiny_nano import encode, nano_model, nano_processor
from tests.unit.segmenters.tiny_sam import meta_sam, tiny_sam

SETTINGS = AutomaticMaskSettings(
    points_per_side=5,
    points_per_batch=7,
    least_iou=0.05,
    least_stability=0.5,
    stability_offset=0.1,
    most_box_iou=1.0,
    most_mask_iou=1.0,
)
"""Random masks are poor and nearly as large as the picture."""


@functools.cache
def proud_sam(seed: int) -> SamSegmenter:
    """A SAM that thinks well of some of its masks."""
    torch.manual_seed(seed)
    sam = tiny_sam(seed=seed)
    with torch.no_grad():
        sam.mask_decoder.iou_prediction_head.layers[-1].bias.fill_(0.5)
    return sam


def sam_picture(height: int = 60, width: int = 90, seed: int = 0) -> PromptablePicture:
    return PromptablePicture.encode(proud_sam(seed), picture(height, width, seed))


@pytest.mark.parametrize(
    ("height", "width", "seed", "most_box_iou", "least"),
    [(60, 90, 0, 1.0, 10), (130, 41, 1, 1.0, 5), (60, 90, 2, 0.97, 1), (60, 90, 2, 0.7, 1)],
)
def test_the_same_masks_as_the_package(
    height: int, width: int, seed: int, most_box_iou: float, least: int
):
    settings = replace(SETTINGS, most_box_iou=most_box_iou)
    ours = automatic_masks(sam_picture(height, width, seed), settings)
    generator = SamAutomaticMaskGenerator(
        meta_sam(proud_sam(seed)),
        points_per_side=SETTINGS.points_per_side,
        points_per_batch=SETTINGS.points_per_batch,
        pred_iou_thresh=SETTINGS.least_iou,
        stability_score_thresh=SETTINGS.least_stability,
        stability_score_offset=SETTINGS.stability_offset,
        box_nms_thresh=most_box_iou,
    )
    records = generator.generate(np.asarray(picture(height, width, seed)))
    theirs = {encode_rle(one["segmentation"])["counts"]: one for one in records}
    found = [encode_rle(one.mask)["counts"] for one in ours.segments]
    assert len(theirs) >= least
    assert sorted(found) == sorted(theirs)
    for counts, segment, point in zip(found, ours.segments, ours.points, strict=True):
        one = theirs[counts]
        assert segment.mask.sum() == one["area"]
        assert point == pytest.approx(one["point_coords"][0])
    assert ours.is_complete


def test_features_are_the_tokens_that_drew_the_masks():
    shown = sam_picture()
    found = automatic_masks(shown, SETTINGS)
    assert len(found.features) == len(found.segments) == len(found.points) > 3
    frame = shown.transform.points_to_frame(torch.from_numpy(found.points), shown.original_size)
    again = shown.decode(
        MaskPrompts(points=frame[:, None], point_labels=torch.ones(len(frame), 1)), multimask=True
    )
    for number, segment in enumerate(found.segments):
        masks = shown.logits_at(again.logits[number]) > 0
        same = [
            token
            for mask, token in zip(masks.numpy(), again.mask_tokens[number], strict=True)
            if (mask == segment.mask).all()
        ]
        assert same
        torch.testing.assert_close(found.features[number], same[0], atol=1e-4, rtol=1e-4)


def test_the_largest_first_and_nothing_twice():
    every = automatic_masks(sam_picture(), SETTINGS)
    found = automatic_masks(sam_picture(), replace(SETTINGS, most_mask_iou=0.9))
    assert 0 < len(found.segments) < len(every.segments)
    masks = [encode_rle(one.mask) for one in found.segments]
    ious = mask_ious(masks, masks)
    assert (ious[~np.eye(len(masks), dtype=bool)] <= 0.9).all()
    areas = [int(one.mask.sum()) for one in found.segments]
    assert areas == sorted(areas, reverse=True)


def test_time_that_runs_out(monkeypatch: pytest.MonkeyPatch):
    now = iter(range(100))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(now)))
    steps: list[tuple[int, int]] = []
    found = automatic_masks(
        sam_picture(),
        SETTINGS,
        seconds=2.0,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert steps == [(7, 25), (14, 25)]
    assert (found.asked, found.of, found.is_complete) == (14, 25, False)
    assert found.segments


def test_no_time_at_all_still_asks_once():
    found = automatic_masks(sam_picture(), SETTINGS, seconds=0.0)
    assert found.asked == SETTINGS.points_per_batch


def test_the_first_points_cover_the_picture():
    steps = AutomaticMaskSettings(points_per_side=16, least_iou=99.0)
    asked: list[np.ndarray] = []
    shown = sam_picture(80, 80)

    def keep(picture, points, settings, found) -> None:
        asked.append(points)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ask", keep)
        automatic_masks(shown, steps, seconds=0.0)
        automatic_masks(shown, steps, seconds=0.0)
    assert np.array_equal(asked[0], asked[1])
    quarters = {(bool(x > 40), bool(y > 40)) for x, y in asked[0].tolist()}
    assert len(quarters) == 4


def test_nothing_good_enough():
    found = automatic_masks(sam_picture(), replace(SETTINGS, least_iou=99.0))
    assert found.segments == ()
    assert found.features.shape == (0, 32)
    assert found.points.shape == (0, 2)


def test_large_pictures_are_judged_small_and_answered_large(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_WORKING_SIDE", 45)
    found = automatic_masks(sam_picture(), SETTINGS)
    assert found.segments
    assert all(one.mask.shape == (60, 90) for one in found.segments)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 90), (200, 3)])
def test_odd_pictures(height: int, width: int):
    found = automatic_masks(sam_picture(height, width), SETTINGS)
    assert all(one.mask.shape == (height, width) for one in found.segments)


def test_a_segmenter_on_a_vision_tower_gives_its_one_mask():
    model, processor = nano_model(), nano_processor()
    shown = model.promptable(encode(model, processor, [picture(50, 70)])[0])
    settings = settings_for(shown.segmenter)
    assert not settings.multimask
    settings = replace(settings, points_per_side=4, least_iou=-99.0, least_stability=0.0)
    found = automatic_masks(shown, settings)
    assert found.segments
    assert found.features.shape == (len(found.segments), 16)
    assert all(one.mask.shape == (50, 70) for one in found.segments)


def test_a_segmenter_on_a_vision_tower_cannot_encode_alone():
    with pytest.raises(ConfigError, match="encode the picture with the model"):
        PromptablePicture.encode(nano_model().segmenter, picture(8, 8))


def test_an_empty_grid():
    with pytest.raises(ConfigError, match="0 points a side"):
        AutomaticMaskSettings(points_per_side=0)
