"""Stage 1: masks from names, clicks and boxes; neither trunk nor language model changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt  # type: ignore[import-untyped]
from torch import Tensor

from lisa.masks import mask_to_box
from lisa.models import EncodedImage, LisaModel, LossWeights, MaskPrompts, SegmenterFeatures
from lisa.models.losses import (
    ComparedMask,
    lisa_loss,
    mask_bce,
    mask_dice,
    mask_loss_sums,
)
from lisa.transforms import SegmenterTransform, logits_to_original
from training.loop import RunSettings, StepReport, run
from training.nano.corpus import Corpus, CorpusScene, batches
from training.nano.recipe import NanoRecipe

WEIGHTS = LossWeights(text=1.0, bce=2.0, dice=1.0, auxiliary=1.0)
"""Of every stage; the auxiliary map is what tells objects apart, so it counts in full."""

_BOX_JITTER = 0.06


def decoder_parameters(model: LisaModel) -> dict[str, Tensor]:
    """Name the parameters behind the language model, and let them learn."""
    chosen: dict[str, Tensor] = {
        f"{part}.{name}": parameter
        for part in ("mask_projection", "prompt_head", "segmenter")
        for name, parameter in model.get_submodule(part).named_parameters()
    }
    for parameter in chosen.values():
        parameter.requires_grad_(True)
    return chosen


def train_decoder(
    model: LisaModel,
    transform: SegmenterTransform,
    corpus: Corpus,
    states: Mapping[str, Tensor],
    recipe: NanoRecipe,
    folder: Path,
) -> None:
    """Run the stage."""
    stage = recipe.decoder
    model.requires_grad_(False)
    parameters = decoder_parameters(model)

    def loss_of(indices: Sequence[int], step: int) -> StepReport:
        rng = np.random.default_rng((recipe.seed, step))
        scenes = [corpus[i] for i in indices]
        return _loss(model, transform, scenes, states, rng)

    settings = RunSettings("decoder", folder, stage.steps, stage.learning_rate, stage.warmup)
    order = batches(len(corpus), stage.scenes, stage.steps, recipe.seed)
    run(settings, parameters, order, loss_of)


def _loss(
    model: LisaModel,
    transform: SegmenterTransform,
    scenes: Sequence[CorpusScene],
    states: Mapping[str, Tensor],
    rng: np.random.Generator,
) -> StepReport:
    chosen = [
        states[name][int(rng.integers(len(states[name])))]
        for scene in scenes
        for name in scene.names
    ]
    index = torch.tensor([i for i, scene in enumerate(scenes) for _ in scene.names])
    targets = [torch.from_numpy(mask) for scene in scenes for mask in scene.masks]
    decoded, ready = model.decode_masks(
        torch.stack(chosen), index, model.ready_images([scene.image for scene in scenes])
    )
    assert decoded is not None and decoded.auxiliary_logits is not None
    compared = [
        ComparedMask(logits, target, likeness[0], scenes[i].image.resized_size)
        for logits, target, likeness, i in zip(
            decoded.mask_logits, targets, decoded.auxiliary_logits, index.tolist(), strict=True
        )
    ]
    named = lisa_loss(mask_loss_sums(compared, transform.image_size), WEIGHTS)
    pointed, pointed_iou = pointing_loss(model, ready, scenes, rng)
    loss = named.total + pointed
    values = {
        "loss": loss.item(),
        "iou": mean_iou([(one.logits, one.target) for one in compared]),
        "map": named.auxiliary.item() / WEIGHTS.auxiliary,
        "pointed_iou": pointed_iou,
    }
    return StepReport(loss, values)


def pointing_loss(
    model: LisaModel,
    images: Sequence[EncodedImage],
    scenes: Sequence[CorpusScene],
    rng: np.random.Generator,
) -> tuple[Tensor, float]:
    """Loss and IoU of two objects a scene, one of them clicked at, the other boxed."""
    known = [cast(SegmenterFeatures, image.segmenter_features) for image in images]
    side = model.segmenter.image_size
    losses, ious = [], []
    for draw in (clicks, boxes):
        masks = [scene.masks[int(rng.integers(len(scene.masks)))] for scene in scenes]
        prompts = draw(masks, rng)
        features = SegmenterFeatures.concat(known)
        decoded = model.segmenter.decode(features, torch.arange(len(scenes)), prompts)
        pairs = [
            (logits_to_original(one, side, image.resized_size, image.original_size)[0], target)
            for one, image, target in zip(
                decoded.logits, images, map(torch.from_numpy, masks), strict=True
            )
        ]
        found = [iou(*pair) for pair in pairs]
        ious += found
        estimate = (decoded.iou[:, 0] - torch.tensor(found)).square()
        losses += [
            WEIGHTS.bce * mask_bce(*pair) + WEIGHTS.dice * mask_dice(*pair) + error
            for pair, error in zip(pairs, estimate, strict=True)
        ]
    return torch.stack(losses).mean(), float(np.mean(ious))


def clicks(masks: Sequence[NDArray[np.bool_]], rng: np.random.Generator) -> MaskPrompts:
    """Draw one foreground click in each mask; pixels far from the border are more likely."""
    points = []
    for mask in masks:
        weight = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1].ravel() ** 2
        place = int(rng.choice(weight.size, p=weight / weight.sum()))
        points.append([place % mask.shape[1] + 0.5, place // mask.shape[1] + 0.5])
    return MaskPrompts(
        points=torch.tensor(points)[:, None], point_labels=torch.ones(len(points), 1)
    )


def boxes(masks: Sequence[NDArray[np.bool_]], rng: np.random.Generator) -> MaskPrompts:
    """Draw the box of each mask with its corners moved a little."""
    found = []
    for mask in masks:
        corners = np.array(mask_to_box(mask), float)
        size = np.array([corners[2] - corners[0], corners[3] - corners[1]] * 2)
        found.append(corners + rng.uniform(-_BOX_JITTER, _BOX_JITTER, 4) * size)
    return MaskPrompts(boxes=torch.tensor(np.stack(found), dtype=torch.float32))


def iou(logits: Tensor, target: Tensor) -> float:
    """IoU of a mask (H, W) whose logits are above 0 with a bool target."""
    predicted = logits > 0
    union = (predicted | target).sum()
    return float((predicted & target).sum() / union) if union else 1.0


def mean_iou(pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Mean IoU of pairs of logits and bool targets."""
    return float(np.mean([iou(*pair) for pair in pairs]))
