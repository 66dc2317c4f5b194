"""What `eval.speed` compares with does the same in more work."""

from __future__ import annotations

import pytest
import torch

from eval.timings.original_way import OriginalWay
from eval.timings.random_pipelines import random_pipeline
from lisa.models import Reading
from lisa.models.segmenters import SamConfig
from lisa.pipeline import LisaPipeline
from lisa.types import Conversation
from tests.encoder_calls import encoder_calls
from tests.tiny import picture, tiny_model, tiny_processor
from tests.unit.eval.timings.sizes import TINY

TOKENS = 6
ASKED = Conversation().ask("Where is it?", 0)
AGAIN = ASKED.answer("There.").ask("And now?")


def pipelines(kind: str) -> tuple[LisaPipeline, LisaPipeline]:
    if kind == "tiny":
        return LisaPipeline(tiny_model(), tiny_processor()), LisaPipeline(
            tiny_model(), tiny_processor()
        )
    cpu = torch.device("cpu")
    ours, plain = random_pipeline(cpu, TINY), random_pipeline(cpu, TINY, packed=False)
    # SAM's positions are a random buffer, which no seed decides.
    plain.model.segmenter.load_state_dict(ours.model.segmenter.state_dict())
    return ours, plain


@pytest.mark.parametrize("kind", ["tiny", "published"])
@pytest.mark.parametrize("conversation", [ASKED, AGAIN], ids=["first turn", "second turn"])
def test_both_ways_say_and_draw_the_same(kind: str, conversation: Conversation) -> None:
    ours, plain = pipelines(kind)
    image = picture(33, 50)
    prediction = ours.answer(
        [ours.encode(image)],
        [conversation],
        [0],
        min_new_tokens=TOKENS,
        max_new_tokens=TOKENS,
        reading=Reading(),
    )[0]
    ids, masks = OriginalWay(plain).answer(image, conversation, TOKENS)
    assert len(ids) == TOKENS == prediction.new_tokens
    assert ours.processor.decode_answer(ids) == prediction.text
    drawn = [one.mask for one in prediction.segments if one.mask is not None]
    assert len(drawn) == len(masks)
    for mask, logits in zip(drawn, masks, strict=True):
        assert mask.shape == logits.shape == (33, 50)
        assert (mask == (logits > 0).numpy()).mean() > 0.999


def test_it_sees_the_picture_again_for_every_token() -> None:
    plain = random_pipeline(torch.device("cpu"), TINY, packed=False)
    way = OriginalWay(plain)
    assert isinstance(plain.model.segmenter.config, SamConfig)
    tower = encoder_calls(plain.model.backbone.base_model.vision_tower)
    sam = encoder_calls(plain.model.segmenter.image_encoder)
    way.answer(picture(33, 50), ASKED, TOKENS)
    assert tower == [1] * TOKENS
    assert sam == [1]
    assert plain.model.backbone.model.language_model.config._attn_implementation == "eager"
