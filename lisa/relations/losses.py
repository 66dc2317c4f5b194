"""The loss of Relate-Anything and GRNet: several predicates may be right for one pair."""

from __future__ import annotations

import torch
from torch import Tensor

from lisa.errors import DataError

_NEVER = -9999.0
"""Logit of a pair with padding: its probability is 0 in every number type."""


def relation_loss(scores: Tensor, target: Tensor, is_mask: Tensor | None = None) -> Tensor:
    """Return the mean over B pictures of each picture's loss.

    A picture's loss is the mean over predicates of l * l / max(l), where l is the predicate's loss
    over all pairs (`predicate_losses`): predicates that are learnt already count less (GRNet, "loss
    v5", with exponent 1). The weight takes part in the gradient, as in the original.

    The original, given several pictures, mixes their rows by a reshape of tensors that it has not
    permuted; here each picture has its own loss, which for one picture is the original's.

    Args:
        scores: (B, R, N, N) logits, as `RelationModel` returns them.
        target: (B, R, N, N), 1 for the relations that hold and 0 for the others; numbers between
            are soft labels, see `predicate_losses`.
        is_mask: bool (B, N), False for padding, of which the target must say nothing: what it does
            say there counts as missed by far, as in the original. None for no padding.

    Raises:
        DataError: If scores and target differ in shape, or there is no picture or no mask.
    """
    if scores.shape != target.shape or not scores.numel():
        raise DataError(
            f"A relation loss compares scores of {tuple(scores.shape)} with targets of "
            f"{tuple(target.shape)}: give both (pictures, predicates, masks, masks), none of "
            "them 0."
        )
    if is_mask is not None:
        pairs = is_mask[:, None, :, None] & is_mask[:, None, None, :]
        scores = scores.masked_fill(~pairs, _NEVER)
    losses = predicate_losses(scores.flatten(2), target.flatten(2))  # (B, R)
    most = losses.amax(dim=1, keepdim=True)
    # No loss at all can only be rounding; then there is nothing to weigh.
    weights = losses / most.clamp(min=torch.finfo(losses.dtype).tiny)
    return (losses * weights).mean()


def predicate_losses(scores: Tensor, target: Tensor) -> Tensor:
    """Return the multi-label cross entropy of Su (2020, "ZLPR", arXiv 2208.02955, eq. 6).

    log(1 + sum of (1 - t) exp(s)) + log(1 + sum of t exp(-s)): every right score is pushed above
    zero and every wrong one below. The published loss has t of 0 and 1 only; with a soft label a
    score rests where `label_of` it is t.

    Args:
        scores: (..., P) logits.
        target: (..., P) in [0, 1].

    Returns:
        (...), of the scores' number type; float32 at least.
    """
    scores = scores.float() if scores.dtype.itemsize < 4 else scores
    target = target.to(scores.dtype)
    zero = scores.new_zeros(*scores.shape[:-1], 1)
    # What a sum leaves out is lowered by the original's number, not taken to minus infinity: where
    # a target speaks of padding, both numbers meet.
    wrong = torch.where(target < 1, scores + torch.log1p(-target), _NEVER - scores)
    right = torch.where(target > 0, torch.log(target) - scores, _NEVER + scores)
    return torch.cat([wrong, zero], dim=-1).logsumexp(dim=-1) + torch.cat(
        [right, zero], dim=-1
    ).logsumexp(dim=-1)


def label_of(scores: Tensor) -> Tensor:
    """Return the soft labels that scores already meet: sigmoid(2 s).

    Where every t is that of its score, t exp(-s) equals (1 - t) exp(s), and the gradient of
    `predicate_losses` is zero.
    """
    return torch.sigmoid(2 * scores)
