from __future__ import annotations

import numpy as np
import pytest
import torch

from lisa.errors import DataError, PromptError
from lisa.models.segmenters import PromptablePicture
from lisa.relations.features import features_of_masks, segment_prompts
from tests.tiny import picture
from tests.tiny_nano import encode, nano_model, nano_processor
from tests.unit.segmenters.tiny_sam import tiny_sam


def pictures() -> dict[str, PromptablePicture]:
    model, processor = nano_model(), nano_processor()
    return {
        "sam": PromptablePicture.encode(tiny_sam(), picture(50, 70)),
        "trunk": model.promptable(encode(model, processor, [picture(50, 70)])[0]),
    }


PICTURES = pictures()
each_picture = pytest.mark.parametrize("shown", PICTURES.values(), ids=PICTURES.keys())


def masks(count: int) -> list[np.ndarray]:
    found = np.zeros((count, 50, 70), bool)
    for number in range(count):
        found[number, 5 : 15 + number, 3 * number : 30 + number] = True
    return list(found)


@each_picture
def test_each_mask_has_its_own_token(shown: PromptablePicture):
    found = features_of_masks(shown, masks(3))
    assert found.shape == (3, shown.segmenter.prompt_dim)
    assert found.dtype == torch.float32
    alone = torch.cat([features_of_masks(shown, [one]) for one in masks(3)])
    torch.testing.assert_close(found, alone, atol=1e-4, rtol=1e-4)
    turned = features_of_masks(shown, masks(3)[::-1])
    torch.testing.assert_close(found.flip(0), turned, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(found[0], found[2], atol=1e-3)


@each_picture
def test_more_masks_than_are_decoded_at_once(shown: PromptablePicture, monkeypatch):
    monkeypatch.setattr("lisa.relations.features._AT_ONCE", 2)
    found = features_of_masks(shown, masks(5))
    monkeypatch.undo()
    torch.testing.assert_close(found, features_of_masks(shown, masks(5)), atol=1e-4, rtol=1e-4)


@each_picture
def test_no_masks(shown: PromptablePicture):
    assert features_of_masks(shown, []).shape == (0, shown.segmenter.prompt_dim)


def test_the_token_is_that_of_the_mask_most_like_the_given_one():
    shown = PICTURES["sam"]
    prompted = segment_prompts(shown, boxes=[(10, 10, 40, 40)])
    (segment,) = prompted.segments
    assert prompted.features.shape == (1, 32)
    assert segment.mask.shape == (50, 70)


@each_picture
def test_points_and_boxes(shown: PromptablePicture):
    points = segment_prompts(shown, points=[(10, 10), (60, 40)])
    boxes = segment_prompts(shown, boxes=[(0, 0, 20, 20)])
    assert [len(points.segments), len(boxes.segments)] == [2, 1]
    assert len(points.features) == 2
    first = segment_prompts(shown, points=[(10, 10)])
    torch.testing.assert_close(points.features[:1], first.features, atol=1e-4, rtol=1e-4)


def test_mistakes_get_a_sentence():
    shown = PICTURES["sam"]
    with pytest.raises(DataError, match="Mask 1 has no pixels"):
        features_of_masks(shown, [masks(1)[0], np.zeros((50, 70), bool)])
    with pytest.raises(PromptError, match="make them equal"):
        features_of_masks(shown, [np.ones((3, 3), bool)])
    with pytest.raises(PromptError, match="nothing to segment"):
        segment_prompts(shown)
