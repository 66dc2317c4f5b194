"""How a `[SEG]` state prompts the segmenter; chosen by name in the configuration.

To add one: write a module with the signature of :class:`PromptHead`, decorate it with
`@register_prompt_head("name")` and import its file in `lisa/models/__init__.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from torch import Tensor, nn

from lisa.errors import ConfigError
from lisa.models.segmenters import MaskPrompts, SegmenterFeatures


class PromptHead(nn.Module, ABC):
    """Turns the states and embeddings of S `[SEG]` tokens into prompts of the segmenter."""

    def __init__(self, language_width: int, prompt_dim: int, grid: tuple[int, int]) -> None:
        """Keep no state by default.

        Args:
            language_width: Width D of the states.
            prompt_dim: Width C of prompts and picture features.
            grid: (h, w) of the picture features.
        """
        super().__init__()

    @abstractmethod
    def forward(
        self,
        states: Tensor,
        embeddings: Tensor,
        features: SegmenterFeatures,
        image_index: Tensor,
    ) -> tuple[MaskPrompts, Tensor | None]:
        """Make the prompts.

        Args:
            states: (S, D) hidden states of the language model, after its final norm.
            embeddings: (S, C) what the mask projection made of them.
            features: Of B pictures.
            image_index: (S,) long: the picture in `features` that each `[SEG]` belongs to.

        Returns:
            The prompts, and auxiliary logits (S, 1, h, w) that are trained towards the mask on the
            feature grid, or None if the head has none.
        """


PROMPT_HEADS: dict[str, type[PromptHead]] = {}

_HeadClass = TypeVar("_HeadClass", bound=type[PromptHead])


def register_prompt_head(name: str) -> Callable[[_HeadClass], _HeadClass]:
    """Enter a class in `PROMPT_HEADS` under `name`."""

    def enter(cls: _HeadClass) -> _HeadClass:
        PROMPT_HEADS[name] = cls
        return cls

    return enter


def build_prompt_head(
    name: str, language_width: int, prompt_dim: int, grid: tuple[int, int]
) -> PromptHead:
    """Build the prompt head called `name`; sizes as :class:`PromptHead` takes them.

    Raises:
        ConfigError: If no prompt head has that name.
    """
    if name not in PROMPT_HEADS:
        raise ConfigError(
            f"There is no prompt head {name!r}: choose one of {', '.join(sorted(PROMPT_HEADS))}."
        )
    return PROMPT_HEADS[name](language_width, prompt_dim, grid)


@register_prompt_head("sparse")
class SparsePromptHead(PromptHead):
    """The embedding alone, as the one sparse prompt token (LISA); it has no weights."""

    def forward(
        self,
        states: Tensor,
        embeddings: Tensor,
        features: SegmenterFeatures,
        image_index: Tensor,
    ) -> tuple[MaskPrompts, Tensor | None]:
        """Return each embedding as a sparse prompt (S, 1, C)."""
        return MaskPrompts(sparse=embeddings.unsqueeze(1)), None
