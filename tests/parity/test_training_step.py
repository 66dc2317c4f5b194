"""LISA's own training steps, taken by the code that `lisa train` runs."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lisa.processor import ImageInputs
from lisa.tokens import IGNORE_INDEX
from lisa.types import ImageSize
from tests.parity.golden import Case, cases, each_case, tolerance
from tests.parity.lisa_case import Setup, images_of_rows, setup_of
from training.adapters import fold_adapters, number_types, start_learning
from training.config import (
    DataSettings,
    LearningSettings,
    LossSettings,
    OptimizerSettings,
    OutputSettings,
    TrainConfig,
)
from training.engines.accelerate_engine import AccelerateEngine
from training.examples import Batch
from training.step import LossSumsOf, take_step
from training.stream import MicroBatch

pytestmark = pytest.mark.parity

LOSSES = {"loss": "loss", "ce_loss": "text", "mask_bce_loss": "bce", "mask_dice_loss": "dice"}
KINDS = ("none", "exactly_zero")
# Step 1 of AdamW moves a parameter by the learning rate times its gradient's sign, so where the
# gradient is rounding noise its move is too.
SURE_GRADIENT = 1e-6
MOVE_TOLERANCE = 1e-5


def ours(name: str) -> str:
    """Our name of a parameter in peft 0.4's spelling."""
    name = name.removeprefix("base_model.model.")
    rules = (
        (r"^lm_head\.", "backbone.lm_head."),
        (r"^model\.text_hidden_fcs\.0\.", "mask_projection."),
        (r"^model\.visual_model\.", "segmenter."),
        (r"^model\.", "backbone.model.language_model."),
    )
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def base_of(case: Case) -> Setup:
    name = Path(case.manifest["base_case"]).name
    found = [one for one in cases("lisa_checkpoint") if one.path.name == name]
    beside = [one for one in found if one.path.parent == case.path.parent]
    return setup_of((beside or found)[0])


def number(recipe: str, pattern: str) -> float:
    return float(re.search(pattern, recipe)[1])


def config_of(case: Case, normalize: str) -> TrainConfig:
    """The run that the manifest's recipe describes."""
    recipe = case.manifest["recipe"]
    betas = re.search(r"betas ([\d.]+)/([\d.]+)", recipe)
    return TrainConfig(
        data=DataSettings(Path("none")),
        output=OutputSettings(Path("none")),
        learning=LearningSettings(
            "lisa", int(number(recipe, r"LoRA r (\d+)")), number(recipe, r"alpha (\d+)"), 0.0
        ),
        optimizer=OptimizerSettings(
            steps=100,
            batch=1,
            accumulation=1,
            learning_rate=number(recipe, r"lr ([\d.e-]+)"),
            warmup=0,
            schedule="constant",
            betas=(float(betas[1]), float(betas[2])),
            weight_decay=number(recipe, r"wd ([\d.]+)"),
            clip=number(recipe, r"clip_grad_norm_ ([\d.]+)"),
        ),
        loss=LossSettings(normalize=normalize),
    )


def batch_of(setup: Setup) -> Batch:
    """The stored training batch in our form."""
    inputs = setup.inputs
    ids, index = inputs["input_ids"], images_of_rows(inputs["offset"])
    pictures = range(len(inputs["original_hw"]))
    seg = setup.model.config.seg_token_id
    masks, taken = [], [0] * len(pictures)
    for row, image in enumerate(index):
        count = int((ids[row] == seg).sum())
        masks.append(inputs[f"gt_masks.{image}"][taken[image] : taken[image] + count].float())
        taken[image] += count
    images = ImageInputs(
        torch.stack([inputs[f"clip_pixels.{i}"] for i in pictures]),
        torch.stack([inputs[f"sam_pixels.{i}"] for i in pictures]),
        tuple(ImageSize(*size) for size in inputs["original_hw"].tolist()),
        tuple(ImageSize(*size) for size in inputs["resize_hw"].tolist()),
        {},
    )
    return Batch(
        keys=tuple(map(str, pictures)),
        input_ids=setup.expand(ids, ids, setup.model.config.image_token_id),
        attention_mask=setup.expand(ids, inputs["attention_mask"], True),
        labels=setup.expand(ids, inputs["labels"], IGNORE_INDEX),
        image_index=torch.tensor(index),
        images=images,
        gt_masks=tuple(masks),
        shortened=0,
    )


def stored_steps(case: Case) -> dict[str, list[dict]]:
    return json.loads((case.path / "train_step.json").read_text(encoding="utf-8"))["variants"]


@each_case("lisa_train_step")
def test_what_learns(case: Case) -> None:
    stored = json.loads((case.path / "train_step.json").read_text(encoding="utf-8"))
    setup = base_of(case)
    model = copy.deepcopy(setup.model)
    _, learning = start_learning(model, config_of(case, "step").learning)
    shapes = {name: list(parameter.shape) for name, parameter in learning.items()}
    assert shapes == {ours(name): shape for name, shape in stored["trainable"].items()}
    assert sum(map(np.prod, shapes.values())) == stored["trainable_count"]


@each_case("lisa_train_step")
@pytest.mark.parametrize("normalize", ["step", "micro_batch"])
def test_steps(case: Case, normalize: str) -> None:
    """Losses, gradients and moves; one micro-batch a step, where both ways to divide are one."""
    tensors = case.tensors("outputs.safetensors")
    setup = base_of(case)
    batch = batch_of(setup)
    config = config_of(case, normalize)
    for variant, steps in stored_steps(case).items():
        model = copy.deepcopy(setup.model)
        dtypes = number_types(model)
        _, learning = start_learning(model, config.learning)
        model.train()
        init = {k: v for k, v in tensors.items() if k.startswith(f"{variant}.init.")}
        with torch.no_grad():
            for name, value in init.items():
                learning[ours(name.removeprefix(f"{variant}.init."))].copy_(value)
        before = {name: one.detach().clone() for name, one in learning.items()}
        engine = AccelerateEngine(
            LossSumsOf(model), learning, config.optimizer, "no", config.output
        )
        sure: dict[str, Tensor] = {}
        for stored in steps:
            seen = gradients_at_the_step(engine, learning)
            logged = take_step(engine, config, [MicroBatch(batch, ())], stored["step"] - 1)
            check_numbers(case, f"{variant} {stored['step']}", stored, logged, seen)
            if stored["step"] == 1:
                check_gradients(case, variant, tensors, seen)
                sure = {
                    name: value.abs() > SURE_GRADIENT
                    for name, value in seen.items()
                    if value is not None
                }
                check_moves(f"{variant}.delta.step1.", tensors, learning, before, sure)
        fold_adapters(model, dtypes)
        check_merged(variant, tensors, dict(model.named_parameters()))


def gradients_at_the_step(
    engine: AccelerateEngine, learning: dict[str, Tensor]
) -> dict[str, Tensor | None]:
    """Keep the clipped gradients of the step that comes next."""
    seen: dict[str, Tensor | None] = {}

    def keep(optimizer: object, arguments: object, options: object) -> None:
        for name, parameter in learning.items():
            gradient = parameter.grad
            seen[name] = None if gradient is None else gradient.detach().clone()
        handle.remove()

    handle = engine._optimizer.optimizer.register_step_pre_hook(keep)
    return seen


def check_numbers(
    case: Case, what: str, stored: dict, logged: dict[str, float], seen: dict[str, Tensor | None]
) -> None:
    for name, field in LOSSES.items():
        atol, rtol = tolerance(case.manifest, name)
        # Later steps stand on earlier ones, whose noise Adam makes as large as any move.
        slack = 1 if what.endswith(" 1") else 10
        assert logged[field] == pytest.approx(stored[name], abs=atol, rel=slack * rtol), what
    norm = stored["total_grad_norm_before_clip"]
    assert logged["norm"] == pytest.approx(norm, rel=1e-3), what
    absent = {name for name, gradient in seen.items() if gradient is None}
    none, zero = ({ours(name) for name in stored[f"grad_is_{kind}"]} for kind in KINDS)
    # Heads of masks that nobody asked for do not run here; there they get a gradient of zero.
    assert none <= absent <= none | zero
    assert all(not seen[name].any() for name in zero - absent), what


def check_gradients(
    case: Case, variant: str, tensors: dict[str, Tensor], seen: dict[str, Tensor | None]
) -> None:
    prefix = f"{variant}.grad_after_clip.step1."
    compared = [name for name in tensors if name.startswith(prefix)]
    assert compared
    for name in compared:
        gradient = seen[ours(name.removeprefix(prefix))]
        assert gradient is not None
        case.assert_close(name, gradient, tensors[name])


def check_moves(
    prefix: str,
    tensors: dict[str, Tensor],
    learning: dict[str, Tensor],
    before: dict[str, Tensor],
    sure: dict[str, Tensor],
) -> None:
    compared = [name for name in tensors if name.startswith(prefix)]
    assert compared
    for stored in compared:
        name = ours(stored.removeprefix(prefix))
        move = (learning[name] - before[name]).detach()
        # What got no gradient does not move at all.
        where = sure.get(name, torch.ones_like(move, dtype=torch.bool))
        torch.testing.assert_close(
            move[where], tensors[stored][where], atol=MOVE_TOLERANCE, rtol=0, msg=stored
        )


def check_merged(variant: str, tensors: dict[str, Tensor], merged: dict[str, Tensor]) -> None:
    compared = [name for name in tensors if name.startswith(f"{variant}.merged.")]
    assert compared
    for stored in compared:
        name = ours(re.sub(rf"^{variant}\.merged\.step\d+\.", "", stored))
        torch.testing.assert_close(
            merged[name].detach(), tensors[stored], atol=2e-3, rtol=1e-3, msg=stored
        )
