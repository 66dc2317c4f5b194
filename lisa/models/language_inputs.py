"""What the language model reads of N conversations: embeddings, positions, features of pictures.

Most backbones count positions in one dimension and see a picture only where its tokens stand. The
Qwen-VL family counts them in three (frame, row, column), and Qwen3-VL also adds features of the
picture to the outputs of its first layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lisa.errors import ConfigError
from lisa.models.backbone import counts_on_grids, embed
from lisa.models.outputs import EncodedImage
from lisa.models.parts import LisaParts


@dataclass(frozen=True, eq=False)
class LanguageInputs:
    """N rows of T positions.

    Attributes:
        ids: (N, T), image placeholders expanded.
        embeddings: (N, T, D) in the dtype of the embedding table.
        position_ids: (3, N, T) where the backbone counts in three dimensions; else (N, T), or None
            for the places of the tokens.
        shows_picture: (N, T) bool, True where an image token stands.
        deep: Per early layer (image tokens of all rows, D), added to its output at those places.
    """

    ids: Tensor
    embeddings: Tensor
    position_ids: Tensor | None
    shows_picture: Tensor
    deep: tuple[Tensor, ...]


def language_inputs(
    model: LisaParts,
    input_ids: Tensor,
    attention_mask: Tensor | None,
    pictures: Sequence[EncodedImage],
    position_ids: Tensor | None = None,
) -> LanguageInputs:
    """Prepare N conversations.

    Args:
        model: That reads them.
        input_ids: (N, T), image placeholders expanded.
        attention_mask: (N, T), True or 1 where nothing is padded; None without padding. Packed rows
            have other ones, see `LisaModel.forward`.
        pictures: Per row its picture, with image tokens.
        position_ids: (N, T) of packed rows.

    Raises:
        ConfigError: If rows are packed and the backbone counts in three dimensions.
        PromptError: If a row's placeholders are not a multiple of its picture's tokens.
    """
    backbone, token = model.backbone, model.config.image_token_id
    tokens = [cast(Tensor, one.image_tokens) for one in pictures]
    embeddings = embed(backbone, input_ids, token, tokens)
    placeholder = input_ids == token
    counts = placeholder.sum(dim=1).tolist()
    shown = [
        one
        for one, part, count in zip(pictures, tokens, counts, strict=True)
        for _ in range(count // len(part))
    ]
    if counts_on_grids(backbone):
        if position_ids is not None or (attention_mask is not None and attention_mask.ndim != 2):
            raise ConfigError(
                f"{type(backbone).__name__} counts positions in three dimensions, which packed "
                "rows do not have: give each conversation a row of its own."
            )
        position_ids = _positions(backbone, input_ids, attention_mask, placeholder, shown)
    layers = zip(*(one.deep_tokens for one in shown), strict=True) if shown else ()
    deep = tuple(torch.cat(layer) for layer in layers)
    return LanguageInputs(input_ids, embeddings, position_ids, placeholder, deep)


def _positions(
    backbone: PreTrainedModel,
    input_ids: Tensor,
    attention_mask: Tensor | None,
    placeholder: Tensor,
    shown: Sequence[EncodedImage],
) -> Tensor:
    grids = torch.stack([cast(Tensor, one.grid) for one in shown]) if shown else None
    positions: Tensor = cast(Any, backbone.base_model).get_rope_index(
        input_ids,
        mm_token_type_ids=placeholder.int(),
        image_grid_thw=grids,
        attention_mask=attention_mask,
    )[0]
    return positions


def with_following(positions: Tensor, count: int) -> Tensor:
    """Append the positions of new tokens: each stands one behind the last.

    Args:
        positions: (..., T) of a prompt; where its last token stands, a picture's end may decide.
        count: Of new tokens.

    Returns:
        (..., T + count).
    """
    steps_on = torch.arange(1, count + 1, device=positions.device)
    return torch.cat([positions, positions[..., -1:] + steps_on], dim=-1)


@contextmanager
def deep_features(backbone: PreTrainedModel, inputs: LanguageInputs) -> Iterator[None]:
    """Hand `inputs.deep` to the language model in each pass of the block that sees the pictures.

    The backbone would pass them on only together with pixels, and pictures are encoded just once.
    """
    if not inputs.deep:
        yield
        return
    length = inputs.shows_picture.shape[1]

    def hand_over(
        module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        more = named["inputs_embeds"].shape[1] - length
        if more < 0:  # a step with a cache: the pictures are behind it
            return arguments, named
        places = nn.functional.pad(inputs.shows_picture, (0, more))
        given = {"visual_pos_masks": places, "deepstack_visual_embeds": list(inputs.deep)}
        return arguments, {**named, **given}

    language_model = cast(Any, backbone.base_model).language_model
    handle = language_model.register_forward_pre_hook(hand_over, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def picture_of_row(given: Tensor | None, rows: int, pictures: int, device: torch.device) -> Tensor:
    """Return (N,) which picture each row shows; left out, row n shows picture n, or all the only.

    Raises:
        ConfigError: If it is left out and does not follow from the numbers.
    """
    if given is not None:
        return given.to(device)
    if pictures == rows:
        return torch.arange(rows, device=device)
    if pictures == 1:
        return torch.zeros(rows, dtype=torch.long, device=device)
    raise ConfigError(
        f"There are {rows} conversations about {pictures} pictures: say with image_index which "
        "picture each conversation shows."
    )
