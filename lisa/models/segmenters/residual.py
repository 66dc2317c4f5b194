"""A residual block of two convolutions that begins as the identity."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn


class ResidualBlock(nn.Sequential):
    """Mixes neighbours of a map and adds the result to it."""

    def __init__(self, width: int, dilation: int) -> None:
        """Create the two convolutions.

        Args:
            width: Channels.
            dilation: Of the first convolution, in cells.
        """
        last = nn.Conv2d(width, width, 3, padding=1)
        # A fresh block changes nothing: many of them learn as easily as one, and one can be added
        # to a model that has learnt.
        nn.init.zeros_(last.weight)
        nn.init.zeros_(cast(Tensor, last.bias))
        first = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
        super().__init__(first, nn.GELU(), last)

    def forward(self, input: Tensor) -> Tensor:
        """Return (B, width, h, w) for (B, width, h, w)."""
        return input + cast(Tensor, super().forward(input))  # type: ignore[no-untyped-call]
