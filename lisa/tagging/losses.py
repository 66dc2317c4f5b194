"""What the tagging models learn from: tags, captions, and CLIP.

Zhang et al. 2023 (arXiv 2306.03514) add up `asymmetric_loss`, `caption_loss` (both through
`balanced_sum`) and `distillation_loss`; Huang et al. 2023 (arXiv 2310.15200) add up
`asymmetric_loss`, `distillation_loss` and `alignment_loss`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lisa.tagging.caption_words import CaptionIds
from lisa.tagging.labels import Labels
from lisa.tagging.models import TaggingModel
from lisa.tagging.text_models import read_tags

_TINY = 1e-8


def asymmetric_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    gamma_negative: float = 7.0,
    gamma_positive: float = 0.0,
    clip: float = 0.05,
    gradient_through_weights: bool = False,
) -> Tensor:
    """Returns the asymmetric loss (Ridnik et al. 2021, arXiv 2009.14119, section 2), summed.

    Each tag's cross entropy is weighted by (1 - p)^gamma, where p is the probability of the right
    answer, so that tags that are clearly absent, which are nearly all, count for little.

    Args:
        logits: (B, C).
        targets: (B, C), 1 for the tags of a picture and 0 for the others.
        gamma_negative: Exponent for absent tags. The tagging models use 7, and 4 to align pictures
            and captions.
        gamma_positive: Exponent for present tags.
        clip: Added to the probability of absence, at most 1 in all: absent tags that are surer than
            this cost nothing.
        gradient_through_weights: Whether the weights learn too; published runs hold them fixed.
    """
    present = targets.to(logits.dtype)
    probability = logits.sigmoid()
    absence = (1 - probability + clip).clamp(max=1) if clip > 0 else 1 - probability
    loss = present * probability.clamp(min=_TINY).log()
    loss = loss + (1 - present) * absence.clamp(min=_TINY).log()
    if gamma_negative > 0 or gamma_positive > 0:
        with torch.set_grad_enabled(gradient_through_weights and torch.is_grad_enabled()):
            right = probability * present + absence * (1 - present)
            gamma = gamma_positive * present + gamma_negative * (1 - present)
            weight = (1 - right) ** gamma
        loss = loss * weight
    return -loss.sum()


def caption_loss(
    model: TaggingModel, tokens: Tensor, tag_ids: Tensor, tag_mask: Tensor, captions: CaptionIds
) -> Tensor:
    """Returns the mean cross entropy of captions that are written from tags.

    Targets are smoothed by 0.1, and the prompt is not learned.

    Args:
        model: A model with text models.
        tokens: (B, 1 + P, D) image tokens.
        tag_ids: (B, 40), as `CaptionWords.encode_tags` returns them.
        tag_mask: (B, 40) beside them.
        captions: As `CaptionWords.encode_captions` returns them.
    """
    states = read_tags(model.tag_encoder, tokens, tag_ids, tag_mask)
    loss: Tensor = model.text_decoder(
        input_ids=captions.ids.to(states.device),
        attention_mask=captions.mask.to(states.device),
        encoder_hidden_states=states,
        labels=captions.labels.to(states.device),
    ).loss
    return loss


def distillation_loss(tokens: Tensor, clip_images: Tensor) -> Tensor:
    """Returns the mean distance of the mean token from CLIP's embedding of the picture.

    Args:
        tokens: (B, 1 + P, E) image tokens; the first one is the mean.
        clip_images: (B, E), not brought to length 1.
    """
    return F.l1_loss(tokens[:, 0], clip_images)


def alignment_loss(model: TaggingModel, tokens: Tensor, captions: Tensor) -> Tensor:
    """Returns the asymmetric loss of whole captions that are asked for like tags.

    Each caption belongs to its own picture and to no other one of the batch.

    Args:
        model: A model whose tags are text embeddings.
        tokens: (B, 1 + P, D) image tokens.
        captions: (B, E) CLIP embeddings of the pictures' captions.
    """
    logits = model.tag_logits(tokens, Labels((captions[:, None],)))
    own = torch.eye(logits.shape[0], device=logits.device)
    return asymmetric_loss(logits, own, gamma_negative=4.0)


def balanced_sum(caption: Tensor, tags: Tensor) -> Tensor:
    """Returns the sum of two losses, the second scaled to the value of the first."""
    return caption + tags * (caption / tags).detach()
