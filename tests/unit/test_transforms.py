from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from lisa.transforms import SegmenterTransform, logits_to_original
from lisa.types import ImageSize

ODD = [(1, 7), (7, 1), (333, 1001), (64, 64), (1, 1)]


@pytest.mark.parametrize("size", ODD)
def test_there_and_back(size: tuple[int, int]) -> None:
    """A mask drawn on the picture, carried into the frame, comes back as the same mask."""
    original = ImageSize(*size)
    transform = SegmenterTransform(256)
    mask = np.zeros(size, dtype=np.uint8)
    mask[: max(1, size[0] // 2), : max(1, size[1] // 2)] = 255
    frame, resized = transform(Image.fromarray(np.repeat(mask[..., None], 3, axis=2)))
    assert frame.shape == (3, 256, 256)
    assert resized == transform.resized_size(original)
    assert not frame[:, resized.height :].any()
    assert not frame[:, :, resized.width :].any()
    mean, std = transform.mean[0], transform.std[0]
    logits = frame[:1] * std + mean - 127.5
    back = transform.logits_to_original(logits, resized, original)
    assert back.shape == (1, *size)
    assert back.dtype == torch.float32
    wrong = ((back[0] > 0).numpy() != (mask > 0)).mean()
    assert wrong <= 0.01


def test_padding_comes_after_normalising() -> None:
    """Zero padding is the mean colour to the encoder, not black."""
    frame, _ = SegmenterTransform(64)(Image.new("RGB", (64, 32)))
    assert frame[0, 0, 0] < -1
    assert frame[0, 63, 0] == 0


def test_sides_round_half_up() -> None:
    # 3 * 64 / 128 = 1.5: the weights were trained with 2, Python's round gives 2; 5 / 2 = 2.5 tells
    # them apart.
    assert SegmenterTransform(64).resized_size(ImageSize(128, 5)) == (64, 3)
    assert SegmenterTransform(64).resized_size(ImageSize(1000, 1)) == (64, 1)


def test_points_and_boxes_follow_the_picture() -> None:
    transform = SegmenterTransform(64)
    size = ImageSize(32, 128)
    points = transform.points_to_frame(torch.tensor([[128.0, 32.0], [64.0, 8.0]]), size)
    assert points.tolist() == [[64.0, 16.0], [32.0, 4.0]]
    boxes = transform.boxes_to_frame(torch.tensor([[0.0, 0.0, 128.0, 32.0]]), size)
    assert boxes.tolist() == [[0.0, 0.0, 64.0, 16.0]]


@pytest.mark.parametrize("size", ODD)
def test_masks_lie_where_the_picture_lies(size: tuple[int, int]) -> None:
    transform = SegmenterTransform(256)
    inside = transform.masks_to_frame(torch.ones(1, *size), ImageSize(*size), 64)
    resized = transform.resized_size(ImageSize(*size))
    assert inside.shape == (1, 64, 64)
    assert inside.sum() == max(1, round(resized.height / 4)) * max(1, round(resized.width / 4))


def test_no_masks_stay_no_masks() -> None:
    back = logits_to_original(torch.zeros(0, 16, 16), 64, ImageSize(64, 32), ImageSize(9, 5))
    assert back.shape == (0, 9, 5)
