"""The segmenter's frames in a training batch: each picture once, in few passes, no graph."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from lisa.errors import ConfigError
from lisa.models import EncodedImage, LisaModel, LisaOutput
from lisa.models.trainable import set_trainable
from tests.encoder_calls import encoder_calls
from tests.tiny import IMAGE_ID, SEG_ID, picture, tiny_model, tiny_processor

SIZES = [(33, 50), (64, 20), (7, 90), (40, 40)]
IMAGE_INDEX = [3, 0, 0, 1, 2]
POINTS = [True, True, True, False, True]
WORDS = [40, 41, 42]


@pytest.fixture
def model() -> LisaModel:
    return tiny_model()


def encode(model: LisaModel) -> list[EncodedImage]:
    inputs = tiny_processor().encode_images(
        [picture(*size, seed=i) for i, size in enumerate(SIZES)]
    )
    return model.encode_images(
        inputs.pixel_values,
        inputs.sam_pixel_values,
        original_sizes=inputs.original_sizes,
        resized_sizes=inputs.resized_sizes,
    )


def ids() -> Tensor:
    """One row per conversation; picture 1 is only talked about."""
    shown = [IMAGE_ID] * tiny_processor().settings.image_tokens
    return torch.tensor(
        [[*shown, *WORDS, SEG_ID if points else WORDS[0], WORDS[0] + n]
         for n, points in enumerate(POINTS)]
    )  # fmt: skip


def run(model: LisaModel, images: list[EncodedImage]) -> LisaOutput:
    return model(ids(), images=images, image_index=torch.tensor(IMAGE_INDEX))


# One on CPUs, where it keeps all cores busy, and several on GPUs.
passes = pytest.mark.parametrize("at_once", [None, 1, 2, 8])


@passes
def test_each_frame_with_a_seg_is_encoded_once_and_the_tower_runs_once(model, at_once) -> None:
    model.frames_at_once = at_once
    frames = encoder_calls(model.segmenter.image_encoder)
    towers = encoder_calls(model.backbone.model.vision_tower)
    output = run(model, encode(model))
    once = {None: [1, 1, 1], 1: [1, 1, 1], 2: [2, 1], 8: [3]}[at_once]
    assert frames == once
    assert towers == [len(SIZES)]
    assert [one.segmenter_features is not None for one in output.images] == [
        True,
        False,
        True,
        True,
    ]
    run(model, list(output.images))
    assert frames == once


@passes
def test_any_passes_give_what_single_pictures_give(model, at_once) -> None:
    model.frames_at_once = at_once
    images = encode(model)
    together = run(model, images)
    for row, index in enumerate(IMAGE_INDEX):
        alone = model(ids()[row : row + 1], images=[images[index]])
        torch.testing.assert_close(
            alone.mask_logits[0], together.mask_logits[row], atol=1e-5, rtol=1e-5
        )
        if POINTS[row]:
            one, other = alone.images[0], together.images[index]
            torch.testing.assert_close(
                one.segmenter_features.embedding,
                other.segmenter_features.embedding,
                atol=1e-5 if (at_once or 1) > 1 else 0,
                rtol=1e-5 if (at_once or 1) > 1 else 0,
            )


def test_frozen_encoders_keep_no_graph(model) -> None:
    """What is kept for the backward pass has no tensor of a frozen encoder in it."""
    set_trainable(model, "lisa")
    inside = SimpleNamespace(encoder=False, kept=0)
    for encoder in (model.segmenter.image_encoder, model.backbone.model.vision_tower):
        encoder.register_forward_pre_hook(lambda *_: setattr(inside, "encoder", True))
        encoder.register_forward_hook(lambda *_: setattr(inside, "encoder", False))

    def pack(tensor: Tensor) -> Tensor:
        inside.kept += inside.encoder
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = run(model, encode(model))
    assert inside.kept == 0
    assert not any(
        one.segmenter_features.embedding.requires_grad
        for one in output.images
        if one.segmenter_features is not None
    )
    assert output.mask_logits[0].requires_grad


def test_an_encoder_that_learns_gets_its_gradient(model) -> None:
    set_trainable(model, "all")
    run(model, encode(model)).mask_logits[0].sum().backward()
    assert model.segmenter.image_encoder.pos_embed.grad.abs().sum() > 0


def test_a_picture_without_a_frame_is_refused(model) -> None:
    bare = [EncodedImage(one.original_size, one.resized_size, one.image_tokens)
            for one in encode(model)]  # fmt: skip
    with pytest.raises(ConfigError, match="encoded without sam_pixel_values"):
        run(model, bare)
