"""What encodes a picture for a tagging model, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from PIL import Image
from torch import Tensor, nn


class PictureEncoder(nn.Module):
    """Encodes pictures.

    Attributes:
        shared: Name of the part whose weights another model stores; empty if there is none.
        transform: Turns an opened picture into what `forward` takes, (3, S, S).
    """

    shared: ClassVar[str] = ""
    transform: Callable[[Image.Image], Tensor]

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Encodes pictures.

        Args:
            pixel_values: (B, 3, S, S), as `transform` returns them.

        Returns:
            (B, 1 + P, D): the mean token, then P places row by row.
        """
        raise NotImplementedError
