"""A given answer in one pass: the masks are those of `forward`, whatever the padding."""

from __future__ import annotations

import pytest
import torch

from lisa.models import LisaModel
from lisa.models.teacher_forcing import last_masks
from lisa.pipeline import LisaPipeline
from lisa.types import Conversation
from tests.encoder_calls import encoder_calls
from tests.tiny import picture, tiny_model, tiny_processor

FIRST = Conversation().ask("Where?", 0).answer("It is [SEG].")


@pytest.mark.parametrize("rule", ["previous", "self"])
def test_it_is_the_mask_of_forward(rule) -> None:
    model: LisaModel = tiny_model(seg_state=rule)
    processor = tiny_processor()
    pipeline = LisaPipeline(model, processor)
    images = pipeline.encode_all([picture(20, 30), picture(31, 17, 1)])
    asked = [
        Conversation().ask("a?", 0).answer("[SEG]."),
        FIRST.ask("And the longer one of both?").answer("[SEG]."),
        Conversation().ask("What is it?", 0).answer("[SEG]."),
    ]
    index = [1, 0, 0]
    rows = [processor.encode_conversation(one, False) for one in asked]
    ids, mask = processor.pad(rows)
    model.frames_at_once = 8  # as on GPUs
    calls = encoder_calls(model.segmenter.image_encoder)
    found, gained = last_masks(model, ids, mask, images, torch.tensor(index))
    assert calls == [2]
    for row, image, one in zip(rows, index, found, strict=True):
        with torch.no_grad():
            alone = model(torch.tensor([row]), images=[gained[image]]).mask_logits[0]
        assert len(alone) == (2 if row is rows[1] else 1)
        torch.testing.assert_close(one, alone[-1], rtol=1e-4, atol=1e-4)
    assert calls == [2]


def test_the_pipeline_gives_one_segment_an_answer() -> None:
    pipeline = LisaPipeline(tiny_model(), tiny_processor())
    image = pipeline.encode(picture(20, 30))
    calls = encoder_calls(pipeline.model.segmenter.image_encoder)
    other = Conversation().ask("Where is [SEG]?", 0).answer("[SEG].")
    segments = pipeline.masks_of_answers([image], [FIRST, other], [0, 0])
    assert [one.mask.shape for one in segments] == [(20, 30)] * 2
    assert (segments[0].mask != segments[1].mask).any()
    pipeline.masks_of_answers([image], [FIRST], [0])
    assert calls == [1]


def test_points_apart_are_things_of_their_own() -> None:
    pipeline = LisaPipeline(tiny_model(), tiny_processor())
    image = pipeline.encode(picture(33, 50))
    points = [(3.0, 4.0), (40.0, 20.0)]
    together = pipeline.segment_region(image, points=points, apart=True)
    for point, one in zip(points, together, strict=True):
        (alone,) = pipeline.segment_region(image, points=[point])
        assert (one.mask == alone.mask).mean() > 0.999
        assert one.score == pytest.approx(alone.score, abs=1e-4)
