"""The image-text-to-text model inside a LISA model: pictures to image tokens, ids to states.

The backbone is used as transformers builds it. Image tokens are put into the sequence here, at the
positions that the processor has marked, so an encoded picture serves any number of turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lisa.errors import ConfigError, PromptError

GRID = "image_grid_thw"
"""Output of image processors that cut each picture into a grid of patches of its own size."""

# Backbones that count positions in three dimensions and are tested here. They put the patches of
# all pictures into one list and tell by grids which are whose.
_GRID_BACKBONES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")


@dataclass(frozen=True, eq=False)
class PictureTokens:
    """What the backbone's vision part makes of one picture.

    Attributes:
        tokens: (P, D) what stands in the sequence.
        grid: (3,) long, frames, rows and columns of patches, where positions depend on them.
        deep: Per early layer of the language model (P, D), which is added to its output (DeepStack,
            Meng et al. 2024); none in most backbones.
    """

    tokens: Tensor
    grid: Tensor | None = None
    deep: tuple[Tensor, ...] = ()


def image_tokens_from_pixels(
    backbone: PreTrainedModel, pixel_values: Tensor, extra: Mapping[str, Tensor] | None = None
) -> list[PictureTokens]:
    """Encode pictures with the backbone's own vision part and projector.

    Args:
        backbone: Any image-text-to-text model.
        pixel_values: (B, ...) as the backbone's image processor made them, one entry a picture; or
            the patches of all pictures behind each other, where `extra` holds their grids.
        extra: More of that processor's outputs, each (B, ...).

    Returns:
        One entry a picture; several tiles of one picture follow each other.
    """
    values = pixel_values.to(device=backbone.device, dtype=backbone.dtype)
    encode = cast(Callable[..., Any], backbone.get_image_features)
    if extra and GRID in extra:
        return _tokens_on_grids(encode, values, extra[GRID].to(backbone.device))
    if values.ndim == 4 and not extra:
        features = encode(pixel_values=values, return_dict=True).pooler_output
        return [PictureTokens(part.reshape(-1, part.shape[-1])) for part in features]
    tokens = []
    for index in range(values.shape[0]):
        one = {
            name: value[index : index + 1].to(backbone.device)
            for name, value in (extra or {}).items()
        }
        features = encode(
            pixel_values=values[index : index + 1], return_dict=True, **one
        ).pooler_output
        joined = torch.cat([part.reshape(-1, part.shape[-1]) for part in features])
        tokens.append(PictureTokens(joined))
    return tokens


def _tokens_on_grids(
    encode: Callable[..., Any], patches: Tensor, grids: Tensor
) -> list[PictureTokens]:
    output = encode(pixel_values=patches, image_grid_thw=grids, return_dict=True)
    layers = getattr(output, "deepstack_features", None) or []
    deep = list(zip(*layers, strict=True)) if layers else [()] * len(grids)
    return [
        PictureTokens(tokens, grid, tuple(parts))
        for tokens, grid, parts in zip(output.pooler_output, grids.cpu(), deep, strict=True)
    ]


def vision_tower_states(backbone: PreTrainedModel, pixel_values: Tensor) -> tuple[Tensor, ...]:
    """Run the vision tower once and return all its hidden states, each (B, ...).

    Raises:
        ConfigError: If the backbone has no part called `vision_tower`.
    """
    tower = _part(backbone, "vision_tower")
    parameter = next(tower.parameters())
    values = pixel_values.to(device=parameter.device, dtype=parameter.dtype)
    states = tower(values, output_hidden_states=True, return_dict=True).hidden_states
    return tuple(states)


def image_tokens_from_states(backbone: PreTrainedModel, states: Sequence[Tensor]) -> Tensor:
    """Select and project hidden states of the vision tower, as LLaVA does.

    Args:
        backbone: A model built like LLaVA.
        states: What :func:`vision_tower_states` returned.

    Returns:
        Image tokens (B, P, D).

    Raises:
        ConfigError: If the backbone has no part called `multi_modal_projector`.
    """
    projector = _part(backbone, "multi_modal_projector")
    layers = backbone.config.vision_feature_layer
    chosen = [states[layer] for layer in ([layers] if isinstance(layers, int) else layers)]
    if backbone.config.vision_feature_select_strategy == "default":
        chosen = [state[:, 1:] for state in chosen]  # without the class token
    selected = torch.cat(chosen, dim=-1)
    tokens: Tensor = projector(selected.to(next(projector.parameters()).dtype))
    return tokens


def language_dtype(backbone: PreTrainedModel) -> torch.dtype:
    """Return the number type of most weights, those aside that are in float32 in any case.

    In training a few others are, too: those that learn.
    """
    kept = set(backbone._keep_in_fp32_modules_strict or ())
    counts: Counter[torch.dtype] = Counter()
    for name, one in backbone.named_parameters():
        if one.is_floating_point() and not kept & set(name.split(".")):
            counts[one.dtype] += one.numel()
    return counts.most_common(1)[0][0]


def check_backbone(backbone: PreTrainedModel) -> None:
    """Accept only backbones whose positions are counted here as the model counts them.

    Raises:
        ConfigError: If positions of picture tokens have several dimensions in a way that is not
            known: such a model would run and be wrong.
    """
    if counts_on_grids(backbone) and backbone.config.model_type not in _GRID_BACKBONES:
        raise ConfigError(
            f"{type(backbone).__name__} counts positions of pictures in three dimensions in a way "
            f"that is not supported: use one of {', '.join(_GRID_BACKBONES)}, or a backbone that "
            "counts in one, such as LLaVA."
        )


def counts_on_grids(backbone: PreTrainedModel) -> bool:
    """Tell whether positions of picture tokens have three dimensions (M-RoPE)."""
    return hasattr(backbone.base_model, "get_rope_index")


def set_projector(backbone: PreTrainedModel, projector: nn.Module) -> None:
    """Replace the projector of a backbone built like LLaVA.

    Raises:
        ConfigError: If it has none.
    """
    _part(backbone, "multi_modal_projector")
    backbone.base_model.multi_modal_projector = projector


def _part(backbone: PreTrainedModel, name: str) -> Any:
    part = getattr(backbone.base_model, name, None)
    if part is None:
        raise ConfigError(
            f"The backbone {type(backbone).__name__} has no {name}, which this configuration "
            'needs: use a LLaVA backbone, projector "backbone" and a segmenter that reads pixels.'
        )
    return part


def embed(
    backbone: PreTrainedModel,
    input_ids: Tensor,
    image_token_id: int,
    tokens_of_row: Sequence[Tensor],
) -> Tensor:
    """Look up token embeddings and put image tokens where the placeholders stand.

    Args:
        backbone: The model whose embedding table is used.
        input_ids: (N, T); placeholders hold `image_token_id`, which may lie outside the vocabulary.
        image_token_id: That id.
        tokens_of_row: Per row (P, D): its picture. A row may show it several times, or not at all.

    Returns:
        (N, T, D) in the dtype of the embedding table.

    Raises:
        PromptError: If a row's placeholders are not a multiple of its picture's tokens.
    """
    placeholder = input_ids == image_token_id
    embedded: Tensor = backbone.get_input_embeddings()(input_ids.masked_fill(placeholder, 0))
    filling = []
    for row, (count, tokens) in enumerate(
        zip(placeholder.sum(dim=1).tolist(), tokens_of_row, strict=True)
    ):
        if count % len(tokens):
            raise PromptError(
                f"Conversation {row} has {count} image placeholders but its picture has "
                f"{len(tokens)} image tokens: prepare it with the processor of this model."
            )
        filling.append(tokens.repeat(count // len(tokens), 1))
    source = torch.cat(filling).to(device=embedded.device, dtype=embedded.dtype)
    return embedded.masked_scatter(placeholder.unsqueeze(-1), source)


@contextmanager
def last_states(backbone: PreTrainedModel) -> Iterator[list[Tensor]]:
    """Collect the last hidden state (N, T, D), after the final norm, of each pass in the block.

    A hook takes only the last layer's state; asking for all hidden states would keep every layer's.
    """
    collected: list[Tensor] = []

    def keep(module: nn.Module, arguments: Any, output: Any) -> None:
        collected.append(output.last_hidden_state)

    handle = backbone.base_model.register_forward_hook(keep)
    try:
        yield collected
    finally:
        handle.remove()


def additive_mask(attention_mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn a 4-D bool mask (N, 1, T, T), True where a position is seen, into the additive form.

    Every attention implementation reads the additive form; other masks are returned as they are.
    """
    if attention_mask.ndim != 4 or attention_mask.dtype != torch.bool:
        return attention_mask
    blocked = torch.zeros(attention_mask.shape, dtype=dtype, device=attention_mask.device)
    return blocked.masked_fill(~attention_mask, torch.finfo(dtype).min)
