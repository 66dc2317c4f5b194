"""What goes into and comes out of the model, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lisa.errors import DataError
from lisa.models.losses import ComparedMask, LossSums
from lisa.models.mask_logits import MaskLogits
from lisa.models.segmenters import SegmenterFeatures
from lisa.types import ImageSize


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """One picture after the encoders: what every later turn about it can reuse.

    Exactly one of `image_tokens` and `vision_states` is given. Where the segmenter reads pixels of
    its own, `sam_pixel_values` waits until the first `[SEG]` asks for `segmenter_features`.

    Attributes:
        original_size: Size of the picture in pixels.
        resized_size: Size of the picture inside the segmenter's frame, before padding.
        image_tokens: (P, D) what the language model sees.
        segmenter_features: Of this one picture (B = 1).
        sam_pixel_values: (3, S, S) normalised and padded frame for the segmenter.
        vision_states: Hidden states of the vision tower, each of one picture (1, ...). From
            them image tokens and segmenter features are computed again, with gradient, in every
            `forward`.
        grid: (3,) long, frames, rows and columns of the backbone's patches, where the positions of
            image tokens depend on them.
        deep_tokens: Per early layer of the language model (P, D), which is added to its output;
            none in most backbones.
    """

    original_size: ImageSize
    resized_size: ImageSize
    image_tokens: Tensor | None = None
    segmenter_features: SegmenterFeatures | None = None
    sam_pixel_values: Tensor | None = None
    vision_states: tuple[Tensor, ...] | None = None
    grid: Tensor | None = None
    deep_tokens: tuple[Tensor, ...] = ()

    def to(self, device: torch.device | str) -> EncodedImage:
        """Return the picture on another device."""
        states = self.vision_states
        return replace(
            self,
            image_tokens=None if self.image_tokens is None else self.image_tokens.to(device),
            segmenter_features=None
            if self.segmenter_features is None
            else self.segmenter_features.to(device),
            sam_pixel_values=None
            if self.sam_pixel_values is None
            else self.sam_pixel_values.to(device),
            vision_states=None if states is None else tuple(state.to(device) for state in states),
            deep_tokens=tuple(tokens.to(device) for tokens in self.deep_tokens),
        )


@dataclass(frozen=True, eq=False)
class DecodedMasks:
    """The masks of S `[SEG]` tokens, in the order of their states.

    Attributes:
        embeddings: (S, C) output of the mask projection.
        low_res_logits: (S, 1, 4h, 4w) of the segmenter's frame.
        iou: (S, 1) the segmenter's own estimate.
        mask_logits: One float32 tensor (H, W) per `[SEG]`, at the size of its picture, made when
            it is asked for.
        auxiliary_logits: (S, 1, h, w) of the prompt head, or None.
    """

    embeddings: Tensor
    low_res_logits: Tensor
    iou: Tensor
    mask_logits: MaskLogits
    auxiliary_logits: Tensor | None


@dataclass(frozen=True, eq=False)
class LisaOutput:
    """What `LisaModel.forward` returns; S counts the `[SEG]` tokens of all N conversations.

    Attributes:
        logits: (N, T, vocabulary), or (N, K, vocabulary) at `logit_positions`.
        logit_positions: (K,) columns of the logits; None means all.
        hidden_states: (N, T, D) after the final norm.
        seg_positions: (S, 2) conversation and position of the state that became each prompt.
        seg_states: (S, D) those states.
        masks: The decoded masks; None if the batch has no `[SEG]`.
        sizes: Per conversation the size of its picture.
        losses: Sums with counts; None without labels and masks to compare with.
        images: The pictures, with the features that this call computed.
    """

    logits: Tensor
    logit_positions: Tensor | None
    hidden_states: Tensor
    seg_positions: Tensor
    seg_states: Tensor
    masks: DecodedMasks | None
    sizes: tuple[ImageSize, ...]
    losses: LossSums | None
    images: tuple[EncodedImage, ...]

    @property
    def mask_logits(self) -> list[Tensor]:
        """Per conversation, float32 (S_i, H, W) at the size of its picture; made at each access."""
        return masks_by_row(self.masks, self.seg_positions, self.sizes)


@dataclass(frozen=True, eq=False)
class GenerateOutput:
    """What `LisaModel.generate` returns; S counts the emitted `[SEG]` of all N conversations.

    Attributes:
        token_ids: Per conversation (T_i,) the new tokens up to and including the end token.
        seg_positions: (S, 2) conversation and position of the state that became each prompt,
            counted in the prompt without its padding and on into the answer.
        seg_states: (S, D) those states, after the final norm.
        token_probabilities: Per conversation (T_i,) probability of each new token at its step.
        masks: The decoded masks; None if no `[SEG]` was emitted (the segmenter then did not run).
        sizes: Per conversation the size of its picture.
        images: The pictures, with the features that this call computed.
    """

    token_ids: list[Tensor]
    seg_positions: Tensor
    seg_states: Tensor
    token_probabilities: list[Tensor]
    masks: DecodedMasks | None
    sizes: tuple[ImageSize, ...]
    images: tuple[EncodedImage, ...]

    @property
    def mask_logits(self) -> list[Tensor]:
        """Per conversation, float32 (S_i, H, W) at the size of its picture; made at each access."""
        return masks_by_row(self.masks, self.seg_positions, self.sizes)

    def masks_of(self, row: int) -> Iterator[Tensor]:
        """Give the logits (H, W) of one conversation's masks, of which one exists at a time."""
        for seg, owner in enumerate(self.seg_positions[:, 0].tolist()):
            if owner == row:
                assert self.masks is not None
                yield self.masks.mask_logits[seg]


def masks_by_row(
    masks: DecodedMasks | None, seg_positions: Tensor, sizes: Sequence[ImageSize]
) -> list[Tensor]:
    """Stack the masks of each conversation.

    Args:
        masks: Of S `[SEG]` tokens; None if S is 0.
        seg_positions: (S, 2), the first column the conversation of each.
        sizes: Picture size of each conversation.

    Returns:
        Per conversation float32 (S_i, H, W); S_i may be 0.
    """
    found: list[list[Tensor]] = [[] for _ in sizes]
    for seg, row in enumerate(seg_positions[:, 0].tolist()):
        assert masks is not None
        found[row].append(masks.mask_logits[seg])
    return [
        torch.stack(group) if group else torch.zeros((0, *size))
        for group, size in zip(found, sizes, strict=True)
    ]


def pair_masks(
    masks: DecodedMasks | None,
    rows: Sequence[int],
    gt_masks: Sequence[Tensor],
    resized_sizes: Sequence[ImageSize],
) -> list[ComparedMask]:
    """Put each decoded mask beside the one that it should be.

    Args:
        masks: Of S `[SEG]` tokens; None if S is 0.
        rows: Conversation of each `[SEG]`, ascending.
        gt_masks: Per conversation (S_i, H, W).
        resized_sizes: Per conversation, of its picture inside the segmenter's frame.

    Raises:
        DataError: If a conversation has another number of `[SEG]` tokens than of masks, or
            sizes differ.
    """
    for row, group in enumerate(gt_masks):
        got = list(rows).count(row)
        if got != len(group):
            raise DataError(
                f"Conversation {row} has {got} [SEG] and {len(group)} masks: give one per [SEG]."
            )
    if masks is None:
        return []
    targets = [target for group in gt_masks for target in group]
    maps: Sequence[Tensor | None] = [None] * len(targets)
    if masks.auxiliary_logits is not None:
        maps = [one[0] for one in masks.auxiliary_logits]
    for size, target in zip(masks.mask_logits.sizes, targets, strict=True):
        if tuple(size) != tuple(target.shape):
            raise DataError(
                f"A mask has shape {tuple(target.shape)}, its picture {tuple(size)}: give masks at "
                "the size of the picture."
            )
    return [
        ComparedMask(logits, target.to(logits.device), one, resized_sizes[row])
        for logits, target, one, row in zip(masks.mask_logits, targets, maps, rows, strict=True)
    ]
