"""Counts what an encoder is given, for tests that say how often it may run."""

from __future__ import annotations

from torch import nn


def encoder_calls(encoder: nn.Module) -> list[int]:
    """The number of pictures in each call of an encoder from now on; the list grows."""
    seen: list[int] = []
    encoder.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(len(args[0] if args else kwargs["pixel_values"])),
        with_kwargs=True,
    )
    return seen
