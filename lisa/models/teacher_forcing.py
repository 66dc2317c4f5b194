"""Masks of an answer that is given to the model, in one pass and without any loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lisa.models.backbone import counts_on_grids, last_states
from lisa.models.language_inputs import deep_features, language_inputs
from lisa.models.lisa_model import LisaModel
from lisa.models.mask_logits import MaskLogits
from lisa.models.outputs import EncodedImage
from lisa.models.seg_rule import seg_source_positions


@torch.no_grad()
def last_masks(
    model: LisaModel,
    input_ids: Tensor,
    attention_mask: Tensor,
    images: Sequence[EncodedImage],
    image_index: Tensor,
) -> tuple[MaskLogits, tuple[EncodedImage, ...]]:
    """Decode the mask of the last `[SEG]` of each conversation.

    Args:
        model: That reads the conversations.
        input_ids: (N, T) conversations with their answers, padded on the left; each has a `[SEG]`.
        attention_mask: (N, T) bool.
        images: The pictures, encoded.
        image_index: (N,) long, the picture of each conversation.

    Returns:
        Per conversation float32 logits (H, W) at the size of its picture; and the pictures with the
        features that this call computed.
    """
    ready = model.ready_images(images)
    rows = [ready[i] for i in image_index.tolist()]
    inputs = language_inputs(model, input_ids, attention_mask, rows)
    positions = inputs.position_ids
    if not counts_on_grids(model.backbone):
        positions = (attention_mask.long().cumsum(dim=1) - 1).clamp(min=0)
    with last_states(model.backbone) as steps, deep_features(model.backbone, inputs):
        model.backbone(
            inputs_embeds=inputs.embeddings,
            attention_mask=attention_mask.long(),
            position_ids=positions,
            use_cache=False,
            logits_to_keep=1,
        )
    found = seg_source_positions(input_ids, model.config.seg_token_id, model.config.seg_state)
    # Ordered by both, so that the last place of a row overwrites those of earlier turns.
    last = dict(found.tolist())
    places = torch.tensor([last[row] for row in range(len(rows))], device=input_ids.device)
    states = steps[-1][torch.arange(len(rows), device=input_ids.device), places]
    masks, ready = model.decode_masks(states, image_index.to(states.device), ready)
    assert masks is not None, "every conversation points at something"
    return masks.mask_logits, tuple(ready)
