"""Conversations about one picture as one row: its tokens once, every conversation behind them.

A block mask lets each conversation see the picture and itself only, and positions start anew after
the picture, so the row gives exactly what its conversations would give one by one, without running
the picture's tokens once for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lisa.prompts import SupervisedIds
from lisa.tokens import IGNORE_INDEX


@dataclass(frozen=True, eq=False)
class PackedRow:
    """Conversations about one picture, packed; T tokens in all.

    Attributes:
        input_ids: (1, T).
        labels: (1, T), `IGNORE_INDEX` where nothing is supervised.
        attention_mask: (1, 1, T, T) bool, True where a position is seen.
        position_ids: (1, T).
    """

    input_ids: Tensor
    labels: Tensor
    attention_mask: Tensor
    position_ids: Tensor


def pack(examples: Sequence[SupervisedIds]) -> PackedRow:
    """Pack conversations that begin with the same ids (at least their last one differs).

    Args:
        examples: At least one; supervised ids must not stand in the shared beginning.
    """
    shared = _shared_beginning(examples)
    ids = list(examples[0].input_ids[:shared])
    labels = [IGNORE_INDEX] * shared
    positions = list(range(shared))
    block = [0] * shared
    for number, example in enumerate(examples, start=1):
        rest = example.input_ids[shared:]
        ids += rest
        labels += example.labels[shared:]
        positions += range(shared, shared + len(rest))
        block += [number] * len(rest)
    of = torch.tensor(block)
    same = (of[:, None] == of[None, :]) | (of[None, :] == 0)
    seen = same & torch.ones_like(same).tril()
    return PackedRow(
        torch.tensor([ids]), torch.tensor([labels]), seen[None, None], torch.tensor([positions])
    )


def _shared_beginning(examples: Sequence[SupervisedIds]) -> int:
    """Count the ids that all examples begin with; each keeps at least one of its own."""
    shortest = min(len(example.input_ids) for example in examples) - 1
    first = examples[0].input_ids
    for place in range(shortest):
        if any(example.input_ids[place] != first[place] for example in examples):
            return place
    return shortest
