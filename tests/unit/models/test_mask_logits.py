from __future__ import annotations

import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lisa.models import mask_logits
from lisa.models.mask_logits import MaskLogits
from lisa.pipeline import LisaPipeline
from lisa.transforms import logits_to_original
from lisa.types import Conversation, ImageSize
from tests.tiny import SEG_ID, emit, picture, tiny_model, tiny_processor


@settings(deadline=None)
@given(
    sizes=st.lists(st.builds(ImageSize, st.integers(1, 40), st.integers(1, 40)), max_size=4),
)
def test_each_is_the_mask_of_its_own_picture(sizes: list[ImageSize]) -> None:
    low = torch.randn(len(sizes), 8, 8, requires_grad=True)
    resized = [ImageSize(min(32, one.height), min(32, one.width)) for one in sizes]
    masks = MaskLogits(low, 32, resized, sizes)
    assert len(masks) == len(sizes) == len(list(masks))
    for place, (mask, inside, size) in enumerate(zip(masks, resized, sizes, strict=True)):
        expected = logits_to_original(low[place : place + 1], 32, inside, size)[0]
        assert tuple(mask.shape) == tuple(size)
        torch.testing.assert_close(mask, expected)
        assert mask.requires_grad


def test_an_answer_never_holds_two_masks_at_full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    emit(model, [[SEG_ID] * 5])
    made: list[weakref.ref[torch.Tensor]] = []
    at_once: list[int] = []

    def watched(*arguments: object) -> torch.Tensor:
        at_once.append(sum(one() is not None for one in made))
        mask = logits_to_original(*arguments)
        made.append(weakref.ref(mask))
        return mask

    monkeypatch.setattr(mask_logits, "logits_to_original", watched)
    pipeline = LisaPipeline(model, tiny_processor())
    shown = pipeline.encode(picture(60, 80))
    answer = pipeline.answer([shown], [Conversation().ask("?", 0)], max_new_tokens=5)[0]
    assert len(answer.segments) == len(made) == 5
    assert set(at_once) == {0}
