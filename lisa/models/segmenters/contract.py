"""What a segmenter is to the rest of the code: encode an image once, decode prompts many times.

Shape letters are those of ``lisa.types``; here also N prompts, K sparse tokens, C ``prompt_dim``,
M masks a prompt, (h, w) the feature grid. Low-resolution logits have four times the grid's side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor, nn

from lisa.errors import ConfigError, PromptError
from lisa.models.segmenters.config import PRESETS, SegmenterConfig


@dataclass(frozen=True, eq=False)
class SegmenterFeatures:
    """What :meth:`Segmenter.encode` made of B images; only the segmenter that made it reads it.

    Attributes:
        embedding: (B, C, h, w).
        skips: Maps finer than the embedding, each (B, channels, height, width), if there are any.
    """

    embedding: Tensor
    skips: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        """Return the number of images B."""
        return self.embedding.shape[0]

    def select(self, index: Tensor) -> SegmenterFeatures:
        """Return the features of the images ``index`` (long, (K,)), which may repeat."""
        rows = index.to(self.embedding.device)
        return self._map(lambda one: one.index_select(0, rows))

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> SegmenterFeatures:
        """Return the features on another device or in another floating dtype."""
        return self._map(lambda one: one.to(device=device, dtype=dtype))

    @staticmethod
    def concat(parts: Sequence[SegmenterFeatures]) -> SegmenterFeatures:
        """Join the features of several calls, in order; at least one."""
        skips = zip(*(part.skips for part in parts), strict=True)
        return SegmenterFeatures(
            torch.cat([part.embedding for part in parts]), tuple(map(torch.cat, skips))
        )

    def _map(self, change: Callable[[Tensor], Tensor]) -> SegmenterFeatures:
        return SegmenterFeatures(change(self.embedding), tuple(map(change, self.skips)))


@dataclass(frozen=True, eq=False)
class MaskPrompts:
    """N prompts of the same make-up; whatever is None is not part of them.

    Coordinates are (x, y) in pixels of the resized frame, boxes xyxy. Sparse tokens stand in the
    order points, boxes, ``sparse``. Without any field the prompts are empty: "segment something".

    Attributes:
        points: (N, P, 2).
        point_labels: (N, P); 1 foreground, 0 background, -1 padding. Given when ``points`` is.
        boxes: (N, 4).
        masks: (N, 1, 4h, 4w) logits, such as those of an earlier decoding.
        sparse: (N, K, C) ready-made sparse embeddings.
        dense: (N, C, h, w) ready-made dense embeddings; they take the place of the embedding that
            says "no mask". Not together with ``masks``.

    Raises:
        PromptError: If two fields contradict each other.
    """

    points: Tensor | None = None
    point_labels: Tensor | None = None
    boxes: Tensor | None = None
    masks: Tensor | None = None
    sparse: Tensor | None = None
    dense: Tensor | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without knowing the segmenter."""
        if (self.points is None) != (self.point_labels is None):
            raise PromptError("Points and point labels come together: give both or neither.")
        if self.masks is not None and self.dense is not None:
            raise PromptError("A prompt has a mask or a dense embedding, not both: leave one out.")

    def check(self, count: int, prompt_dim: int, grid: tuple[int, int]) -> None:
        """Compare every shape with what a segmenter expects.

        Args:
            count: Number of prompts N.
            prompt_dim: Width C.
            grid: (h, w).

        Raises:
            PromptError: Naming each field whose shape does not fit; None in a wanted shape is free.
        """
        h, w = grid
        points = self.points.shape[1] if self.points is not None and self.points.ndim > 1 else None
        wanted: dict[str, tuple[int | None, ...]] = {
            "points": (count, None, 2),
            "point_labels": (count, points),
            "boxes": (count, 4),
            "masks": (count, 1, 4 * h, 4 * w),
            "sparse": (count, None, prompt_dim),
            "dense": (count, prompt_dim, h, w),
        }
        faults = [
            f"{name} has shape {tuple(value.shape)}, wanted {shape}"
            for name, shape in wanted.items()
            if (value := getattr(self, name)) is not None and not _fits(value, shape)
        ]
        if faults:
            raise PromptError(f"The prompts do not fit {count} decodings: {'; '.join(faults)}.")


def _fits(value: Tensor, shape: tuple[int | None, ...]) -> bool:
    return value.ndim == len(shape) and all(
        want is None or got == want for got, want in zip(value.shape, shape, strict=True)
    )


@dataclass(frozen=True, eq=False)
class MaskOutputs:
    """Masks of N prompts, M each, in the order of the segmenter's mask tokens.

    Attributes:
        logits: (N, M, 4h, 4w), before sigmoid, in the segmenter's dtype.
        iou: (N, M) the segmenter's own estimate of each mask's IoU.
        mask_tokens: (N, M, C) decoder state that made each mask: a feature of the object shown.
    """

    logits: Tensor
    iou: Tensor
    mask_tokens: Tensor


class Segmenter(nn.Module, ABC):
    """A module that turns an image and prompts into masks.

    Attributes:
        config_class: The configuration class whose ``kind`` is the registry name.
        source: What :meth:`encode` reads: normalised pixels, or the hidden states of the
            backbone's vision tower.
        config: The configuration that built the module.
        image_size: Side S of the square frame in pixels, which prompt coordinates refer to.
        prompt_dim: Width C of sparse and dense prompts.
        grid: (h, w) of the features.
    """

    config_class: ClassVar[type[SegmenterConfig]]
    source: ClassVar[Literal["pixels", "vision_tower"]]

    config: SegmenterConfig
    image_size: int
    prompt_dim: int
    grid: tuple[int, int]

    def __init__(self, config: SegmenterConfig) -> None:
        """Keep the configuration; subclasses build their parts and set the sizes."""
        super().__init__()
        self.config = config

    @property
    def feature_values(self) -> int:
        """How many numbers the features of one picture have."""
        return self.prompt_dim * self.grid[0] * self.grid[1]

    @abstractmethod
    def encode(self, inputs: Any) -> SegmenterFeatures:
        """Encode B images once.

        Args:
            inputs: As ``source`` says: pixels (B, 3, S, S), or the hidden states of B images.
        """

    @abstractmethod
    def decode(
        self,
        features: SegmenterFeatures,
        image_index: Tensor,
        prompts: MaskPrompts,
        *,
        multimask: bool = False,
    ) -> MaskOutputs:
        """Decode N prompts, which may belong to different images, in one batch.

        Args:
            features: Of B images.
            image_index: (N,) long: which image in ``features`` each prompt belongs to; N may be 0.
            prompts: N prompts.
            multimask: False for one mask (M = 1), True for the readings of an ambiguous prompt
                (M = 3).

        Raises:
            PromptError: If a prompt's shape is not what N and the segmenter's sizes ask for.
        """


SEGMENTERS: dict[str, type[Segmenter]] = {}

_SegmenterClass = TypeVar("_SegmenterClass", bound=type[Segmenter])


def register_segmenter(cls: _SegmenterClass) -> _SegmenterClass:
    """Enter a segmenter class in ``SEGMENTERS`` under its configuration's ``kind``."""
    SEGMENTERS[cls.config_class.kind] = cls
    return cls


def segmenter_config(source: SegmenterConfig | Mapping[str, Any] | str) -> SegmenterConfig:
    """Return the configuration that a preset's name or a dictionary stands for.

    Args:
        source: A configuration (returned as it is), a name in ``PRESETS``, or a dictionary with
            ``kind``.

    Raises:
        ConfigError: If the name, the kind or a key is unknown.
    """
    if isinstance(source, SegmenterConfig):
        return source
    if isinstance(source, str):
        if source not in PRESETS:
            raise ConfigError(
                f"There is no segmenter preset {source!r}: choose one of {', '.join(PRESETS)}."
            )
        return PRESETS[source]
    kind = source.get("kind")
    if kind not in SEGMENTERS:
        raise ConfigError(
            f"The segmenter kind {kind!r} is unknown: choose one of {', '.join(SEGMENTERS)}."
        )
    return SEGMENTERS[kind].config_class.from_dict(source)


def build_segmenter(source: SegmenterConfig | Mapping[str, Any] | str) -> Segmenter:
    """Build a segmenter with fresh weights.

    Args:
        source: As :func:`segmenter_config` takes it.

    Raises:
        ConfigError: If the configuration names nothing that can be built.
    """
    config = segmenter_config(source)
    return SEGMENTERS[config.kind](config)
