"""The whole model against tensors of the original implementation, on tiny released layouts."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import CLIPImageProcessorPil

from lisa.models import LisaModel, lisa_loss
from lisa.processor import LisaProcessor
from lisa.transforms import SegmenterTransform
from lisa.types import Conversation, ImageSize
from tests.parity.golden import Case, each_case
from tests.parity.lisa_case import Setup, by_image, images_of_rows, setup_of, train_output

pytestmark = pytest.mark.parity
LOSSES = {
    "loss": "total",
    "ce_loss": "text",
    "mask_bce_loss": "bce",
    "mask_dice_loss": "dice",
    "mask_loss": "mask",
}


@each_case("lisa_checkpoint")
def test_pictures(case: Case) -> None:
    setup = setup_of(case)
    backbone = setup.model.backbone.base_model
    for name in [n for n in setup.expected if n.startswith("train.clip_features.")]:
        index = int(name.rsplit(".", 1)[1])
        seen: list[Tensor] = []
        hook = backbone.multi_modal_projector.register_forward_pre_hook(
            lambda module, arguments, kept=seen: kept.append(arguments[0])
        )
        image = setup.model.encode_for_segmenter(setup.image(index))
        hook.remove()
        setup.check(name, seen[0][0])
        setup.check(f"train.sam_embedding.{index}", image.segmenter_features.embedding[0])
        assert image.image_tokens.shape[0] == setup.processor.settings.image_tokens
    first = images_of_rows(setup.inputs["offset"])[0]
    setup.check("train.projected_features.0", setup.image(first).image_tokens)


@each_case("lisa_checkpoint")
def test_teacher_forced_training_batch(case: Case) -> None:
    setup = setup_of(case)
    output = train_output(setup)
    masks = output.masks
    assert output.hidden_states.shape[1] == int(setup.expected["train.expanded_length"])
    assert torch.equal(output.seg_positions, setup.expected["train.seg_positions"])
    setup.check("train.seg_hidden", output.seg_states)
    setup.check("train.seg_embedding", masks.embeddings)
    at = setup.expected["train.logits_positions"]
    setup.check("train.logits", output.logits[:, at])
    setup.check("train.last_hidden_row0", output.hidden_states[0, at])
    for image, segs in by_image(setup, output).items():
        setup.check(f"train.low_res_mask.{image}", masks.low_res_logits[segs])
        setup.check(f"train.iou_pred.{image}", masks.iou[segs])
        expected = setup.expected[f"train.mask_logits.{image}"]
        assert len(expected) == len(segs)
        for seg, wanted in zip(segs, expected, strict=True):
            case.assert_close(f"train.mask_logits.{image}", masks.mask_logits[seg], wanted)
    loss = lisa_loss(output.losses)
    for name, field in LOSSES.items():
        setup.check(f"train.{name}", getattr(loss, field))


@each_case("lisa_checkpoint")
def test_losses_of_each_image(case: Case) -> None:
    setup = setup_of(case)
    index = images_of_rows(setup.inputs["offset"])
    images = sorted(
        {int(m[1]) for n in setup.expected if (m := re.match(r"train_image(\d+)\.", n))}
    )
    for image in images:
        loss = lisa_loss(train_output(setup, [r for r, i in enumerate(index) if i == image]).losses)
        for name, field in LOSSES.items():
            setup.check(f"train_image{image}.{name}", getattr(loss, field))


@each_case("lisa_checkpoint")
def test_teacher_forced_questions(case: Case) -> None:
    setup = setup_of(case)
    for entry in setup.prompts["teacher_forced"]:
        name = f"infer.{entry['index']}"
        ids = setup.inputs[f"{name}.input_ids"]
        output = setup.forward(
            ids, setup.inputs[f"{name}.attention_mask"], [entry["image"]] * len(ids)
        )
        assert torch.equal(output.seg_positions, setup.expected[f"{name}.seg_positions"])
        setup.check(f"{name}.seg_hidden", output.seg_states)
        setup.check(f"{name}.seg_embedding", output.masks.embeddings)
        setup.check(f"{name}.low_res_mask", output.masks.low_res_logits)
        setup.check(f"{name}.mask_logits", torch.cat(output.mask_logits))


@contextmanager
def _step_logits(model: LisaModel) -> Iterator[list[Tensor]]:
    """Collect the logits of each token, which are said one by one."""
    steps: list[Tensor] = []
    head = model.backbone.get_output_embeddings()
    handle = head.register_forward_hook(lambda m, a, logits: steps.append(logits[0, -1].float()))
    model.lookup_tokens = 0
    yield steps
    handle.remove()
    del model.lookup_tokens


def _check_answer(setup: Setup, index: int, image: int, compare) -> None:
    """Generate with a KV cache, where the original recomputed everything in every step.

    With guesses and one by one, which is the same.
    """
    name = f"eval.{index}"
    ids = setup.inputs[f"{name}.input_ids"]
    question = {
        "input_ids": setup.expand(ids, ids, setup.model.config.image_token_id),
        "images": [setup.image(image)],
        "max_new_tokens": int(setup.expected[f"{name}.max_new_tokens"]),
        "eos_token_id": setup.processor.tokenizer.eos_token_id,
    }
    guessing = setup.model.generate(**question)
    with _step_logits(setup.model) as steps:
        output = setup.model.generate(**question)
    assert torch.equal(guessing.token_ids[0], output.token_ids[0])
    torch.testing.assert_close(guessing.seg_states, output.seg_states)
    whole = torch.cat([ids[0], output.token_ids[0]])
    assert torch.equal(whole, setup.expected[f"{name}.output_ids"][0])
    assert torch.equal(output.seg_positions, setup.expected[f"{name}.seg_positions"])
    compare(f"{name}.step_top_logits", torch.stack(steps))
    compare(f"{name}.seg_hidden", output.seg_states)
    compare(f"{name}.mask_logits", output.mask_logits[0])
    if output.masks is None:
        assert not len(setup.expected[f"{name}.seg_embedding"])
        return
    compare(f"{name}.seg_embedding", output.masks.embeddings)
    compare(f"{name}.low_res_mask", output.masks.low_res_logits)


@each_case("lisa_checkpoint")
def test_generated_answers(case: Case) -> None:
    setup = setup_of(case)
    for entry in setup.prompts["evaluate"]:
        _check_answer(setup, entry["index"], entry["image"], setup.check)


@each_case("lisa_checkpoint")
def test_prompts_are_encoded_alike(case: Case) -> None:
    """From the question's text to the same ids, picture expanded."""
    setup = setup_of(case)
    for entry in setup.prompts["evaluate"]:
        ids = setup.inputs[f"eval.{entry['index']}.input_ids"]
        processor = LisaProcessor(
            setup.processor.tokenizer,
            setup.processor.transform,
            type(setup.processor.settings)(
                setup.prompts["conv_type"],
                setup.processor.settings.image_tokens,
                setup.processor.settings.image_token_id,
                setup.processor.settings.context_length,
            ),
            setup.processor.image_processor,
        )
        got = processor.encode_conversation(Conversation().ask(entry["user_text"], image_index=0))
        wanted = setup.expand(ids, ids, setup.model.config.image_token_id)[0].tolist()
        assert got == wanted


@each_case("lisa_checkpoint")
def test_pixels_from_raw_pictures(case: Case) -> None:
    setup = setup_of(case)
    for name in [n for n in setup.inputs if n.startswith("raw_rgb.")]:
        index = name.rsplit(".", 1)[1]
        made = setup.processor.encode_images([Image.fromarray(setup.inputs[name].numpy())])
        torch.testing.assert_close(
            made.sam_pixel_values[0], setup.inputs[f"sam_pixels.{index}"], atol=1e-5, rtol=0
        )
        torch.testing.assert_close(
            made.pixel_values[0], setup.inputs[f"clip_pixels.{index}"], atol=1e-5, rtol=0
        )
        assert list(made.resized_sizes[0]) == setup.inputs["resize_hw"][int(index)].tolist()


# --- bfloat16 -------------------------------------------------------------------------------------


def _check_bf16(setup: Setup, name: str, actual: Tensor) -> None:
    """Masks by the manifest's rule; the rest may differ by 5 % of the value range."""
    expected = setup.expected[name].float()
    actual = actual.detach().float()
    assert actual.shape == expected.shape, name
    if not expected.numel():
        return
    rule = setup.case.manifest["compare"]["bf16"]
    atol = 0.05 * float(expected.max() - expected.min())
    if "mask_logits" in name:
        atol = rule["mask_logits_atol"]
    if expected.ndim == 0:
        atol = 0.05 * float(expected.abs())
    assert (actual - expected).abs().max() <= atol, name
    if "mask" in name and "loss" not in name:
        inside, wanted = actual > 0, expected > 0
        union = (inside | wanted).sum()
        assert not union or (inside & wanted).sum() / union >= rule["mask_iou"], name


@each_case("lisa_checkpoint")
def test_bfloat16(case: Case) -> None:
    if not (case.path / "outputs_bf16.safetensors").is_file():
        pytest.skip(f"{case.path.name} has no bfloat16 outputs")
    setup = setup_of(case, "outputs_bf16.safetensors", torch.bfloat16)
    compare = functools.partial(_check_bf16, setup)
    for entry in setup.prompts["evaluate"]:
        if f"eval.{entry['index']}.output_ids" in setup.expected:
            _check_answer(setup, entry["index"], entry["image"], compare)
    output = train_output(setup)
    compare("train.seg_hidden", output.seg_states)
    compare("train.seg_embedding", output.masks.embeddings)
    for image, segs in by_image(setup, output).items():
        compare(f"train.low_res_mask.{image}", output.masks.low_res_logits[segs])
    loss = lisa_loss(output.losses)
    for name, field in LOSSES.items():
        if f"train.{name}" in setup.expected:
            compare(f"train.{name}", getattr(loss, field))


# --- Preprocessing at the real sizes --------------------------------------------------------------


@each_case("lisa_preprocess")
def test_preprocessing(case: Case) -> None:
    tensors = case.tensors("tensors.safetensors")
    meta = json.loads((case.path / "meta.json").read_text(encoding="utf-8"))
    for entry in meta["images"]:
        index = entry["index"]
        image = Image.fromarray(tensors[f"raw_rgb.{index}"].numpy())
        for side in [int(key.rsplit("_", 1)[1]) for key in entry if key.startswith("resize_")]:
            transform = SegmenterTransform(side)
            assert list(transform.resized_size(ImageSize(*entry["hw"]))) == entry[f"resize_{side}"]
        side = max(int(key.rsplit("_", 1)[1]) for key in entry if key.startswith("resize_"))
        transform = SegmenterTransform(side)
        resized = np.array(transform.resize(image))
        assert hashlib.sha256(resized.tobytes()).hexdigest() == entry["sha256_resized_uint8"]
        down, right = entry["sam_stride"]
        frame, _ = transform(image)
        case.assert_close("sam", frame[:, ::down, ::right], tensors[f"sam_pixels_strided.{index}"])
        for key in [key for key in entry if re.fullmatch(r"clip\d+_stride", key)]:
            size = int(re.findall(r"\d+", key)[0])
            processor = CLIPImageProcessorPil(
                size={"shortest_edge": size}, crop_size={"height": size, "width": size}
            )
            pixels = processor(image, return_tensors="pt")["pixel_values"][0]
            stride = entry[key]
            name = next(
                n for n in (f"clip{size}.{index}", f"clip{size}_strided.{index}") if n in tensors
            )
            case.assert_close("clip", pixels[:, ::stride, ::stride], tensors[name])
