"""Which position gives the state behind each `[SEG]`: the one tested place for that arithmetic."""

from __future__ import annotations

from torch import Tensor

from lisa.errors import ConfigError
from lisa.models.config import SegState

# How far before the [SEG] token its state lies.
_OFFSETS: dict[SegState, int] = {"previous": 1, "self": 0}


def seg_offset(rule: str) -> int:
    """Return how many positions before `[SEG]` its state lies: 1 for "previous", 0 for "self"."""
    for name, offset in _OFFSETS.items():
        if name == rule:
            return offset
    raise ConfigError(f'The [SEG] rule {rule!r} is unknown: use "previous" or "self".')


def seg_source_positions(input_ids: Tensor, seg_token_id: int, rule: str) -> Tensor:
    """Find the states that become mask prompts.

    Args:
        input_ids: (N, T), with one id per position (image placeholders expanded).
        seg_token_id: Id of `[SEG]`.
        rule: "previous" or "self". A `[SEG]` at position 0 has no previous state and is left out.

    Returns:
        (S, 2) long: conversation and position, ordered by both.
    """
    offset = seg_offset(rule)
    found = (input_ids[:, offset:] == seg_token_id).nonzero()
    return found
