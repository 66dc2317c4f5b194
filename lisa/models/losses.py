"""The losses of LISA as sums with counts, so that the caller chooses how to normalise.

Sums can be added over micro-batches and ranks before the one division; :func:`lisa_loss` divides as
the reference does (Lai et al. 2023, section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from lisa.tokens import IGNORE_INDEX
from lisa.types import ImageSize

# Dice works on probabilities divided by this, so that sums over a picture stay small; with
# `_DICE_EPSILON` it is part # of what the reference minimises (an empty mask would otherwise have
# another loss).
_DICE_SCALE = 1000.0
_DICE_EPSILON = 1e-6


@dataclass(frozen=True, eq=False)
class LossSums:
    """Sums and counts of one or more batches; all are scalar tensors.

    Attributes:
        text_loss_sum: Cross entropy summed over the supervised tokens.
        text_count: How many tokens are supervised.
        bce_sum: Per mask the mean binary cross entropy over its pixels; summed over masks.
        dice_sum: Dice loss summed over masks.
        mask_count: How many masks were compared.
        auxiliary_sum: Per mask the mean binary cross entropy of the prompt head's own map; summed.
    """

    text_loss_sum: Tensor
    text_count: Tensor
    bce_sum: Tensor
    dice_sum: Tensor
    mask_count: Tensor
    auxiliary_sum: Tensor

    def __add__(self, other: LossSums) -> LossSums:
        """Add two batches."""
        return LossSums(
            *(getattr(self, field.name) + getattr(other, field.name) for field in fields(self))
        )


@dataclass(frozen=True, eq=False)
class ComparedMask:
    """One decoded mask beside the one that it should be.

    Attributes:
        logits: float32 (H, W), before sigmoid.
        target: (H, W) in [0, 1].
        auxiliary_logits: (h, w) of the prompt head, or None if it has none.
        resized_size: Size of the picture inside the segmenter's frame.
    """

    logits: Tensor
    target: Tensor
    auxiliary_logits: Tensor | None
    resized_size: ImageSize


@dataclass(frozen=True)
class LossWeights:
    """Weights of the parts; the defaults are LISA's."""

    text: float = 1.0
    bce: float = 2.0
    dice: float = 0.5
    auxiliary: float = 0.0


@dataclass(frozen=True, eq=False)
class LisaLoss:
    """Scalars to report, each already weighted; `total` is the one to minimise."""

    total: Tensor
    text: Tensor
    bce: Tensor
    dice: Tensor
    auxiliary: Tensor

    @property
    def mask(self) -> Tensor:
        """Both mask losses together."""
        return self.bce + self.dice


def lisa_loss(sums: LossSums, weights: LossWeights = LossWeights()) -> LisaLoss:
    """Normalise as LISA does: text per supervised token, masks per mask (0 without any)."""
    masks = sums.mask_count + 1e-8
    text = weights.text * sums.text_loss_sum / sums.text_count.clamp(min=1)
    bce = weights.bce * sums.bce_sum / masks
    dice = weights.dice * sums.dice_sum / masks
    auxiliary = weights.auxiliary * sums.auxiliary_sum / masks
    return LisaLoss(text + bce + dice + auxiliary, text, bce, dice, auxiliary)


def text_loss_sum(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropy of next-token logits.

    Args:
        logits: (..., vocabulary) that predict `targets`, so already shifted against the sequence.
        targets: (...) ids; `IGNORE_INDEX` is not counted.

    Returns:
        The sum in float32, and the count as float32.
    """
    kept = targets != IGNORE_INDEX
    total = F.cross_entropy(logits[kept].float(), targets[kept], reduction="sum")
    return total, kept.sum().float()


def mask_bce(logits: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross entropy over the pixels of one mask (H, W); logits before sigmoid."""
    return F.binary_cross_entropy_with_logits(logits.float(), target.float())


def mask_dice(logits: Tensor, target: Tensor) -> Tensor:
    """Dice loss of one mask (H, W) in [0, 1]; logits before sigmoid."""
    probability = logits.float().sigmoid().flatten()
    wanted = target.float().flatten()
    overlap = (probability / _DICE_SCALE * wanted).sum()
    size = (probability / _DICE_SCALE).sum() + (wanted / _DICE_SCALE).sum()
    return 1 - (2 * overlap + _DICE_EPSILON) / (size + _DICE_EPSILON)


def auxiliary_bce(logits: Tensor, target: Tensor, resized: tuple[int, int], side: int) -> Tensor:
    """Mean binary cross entropy of a map on the feature grid against the mask's share of each cell.

    Args:
        logits: (h, w) of the whole square frame.
        target: (H, W) mask at the size of the picture.
        resized: (height, width) of the picture inside the frame.
        side: Side of the frame in pixels.
    """
    height, width = logits.shape
    inside = (
        max(1, round(height * resized[0] / side)),
        max(1, round(width * resized[1] / side)),
    )
    coverage = F.interpolate(target[None, None].float(), size=inside, mode="area")[0, 0]
    wanted = F.pad(coverage, (0, width - inside[1], 0, height - inside[0]))
    return F.binary_cross_entropy_with_logits(logits.float(), wanted)


def mask_loss_sums(
    masks: Sequence[ComparedMask], frame_side: int, device: torch.device | None = None
) -> LossSums:
    """Compare masks alone; the text counts nothing.

    Args:
        masks: Beside what they should be; there may be none.
        frame_side: Side of the segmenter's frame in pixels.
        device: Of the zeros that stand for what is not there.
    """
    zero = torch.zeros((), device=device)
    auxiliary = [
        auxiliary_bce(mask.auxiliary_logits, mask.target, mask.resized_size, frame_side)
        for mask in masks
        if mask.auxiliary_logits is not None
    ]
    return LossSums(
        text_loss_sum=zero,
        text_count=zero,
        bce_sum=sum((mask_bce(mask.logits, mask.target) for mask in masks), zero),
        dice_sum=sum((mask_dice(mask.logits, mask.target) for mask in masks), zero),
        mask_count=zero + len(masks),
        auxiliary_sum=sum(auxiliary, zero),
    )


def loss_sums(
    logits: Tensor,
    logit_positions: Tensor | None,
    labels: Tensor | None,
    compared: Sequence[ComparedMask] | None,
    frame_side: int,
) -> LossSums:
    """Compare a batch with its labels and masks; what is not given counts nothing.

    Args:
        logits: (N, T, vocabulary), or (N, K, vocabulary) at `logit_positions`.
        logit_positions: (K,) columns, none of them the last; None means all.
        labels: (N, T); the logits at each position predict the label of the next one.
        compared: The masks.
        frame_side: Side of the segmenter's frame in pixels.
    """
    sums = mask_loss_sums(compared or (), frame_side, logits.device)
    if labels is None:
        return sums
    if logit_positions is None:
        text_sum, text_count = text_loss_sum(logits[:, :-1], labels[:, 1:])
    else:
        text_sum, text_count = text_loss_sum(logits, labels[:, logit_positions + 1])
    return replace(sums, text_loss_sum=text_sum, text_count=text_count)
