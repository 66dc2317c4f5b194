"""Masks at the size of their pictures, made one by one when somebody looks at them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from lisa.transforms import logits_to_original
from lisa.types import ImageSize


@dataclass(frozen=True, eq=False)
class MaskLogits:
    """Logits of S masks, each at the size of its picture; a sequence without slices.

    At that size a mask takes four bytes a pixel: 64 MiB for a picture of 4096 x 4096. Made when
    they are asked for, many masks of a large picture need not exist together; whoever looks twice
    makes them twice. They can be trained through.

    Attributes:
        low_res_logits: (S, 4h, 4w) of the segmenter's frame, padding included.
        image_size: Side of the frame in pixels.
        resized_sizes: Of S pictures inside the frame.
        sizes: Of S pictures.
    """

    low_res_logits: Tensor
    image_size: int
    resized_sizes: Sequence[ImageSize]
    sizes: Sequence[ImageSize]

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, place: int) -> Tensor:
        """Return float32 (H, W)."""
        return logits_to_original(
            self.low_res_logits[place : place + 1],
            self.image_size,
            self.resized_sizes[place],
            self.sizes[place],
        )[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[place] for place in range(len(self)))
