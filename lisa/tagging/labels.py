"""What the query decoder is asked for: text embeddings of C tags, in a fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Labels:
    """Embeddings of C tags.

    Tags that are described by equally many texts lie in one block, so that tags with fifty-one
    descriptions and tags with one can be asked for together.

    Attributes:
        blocks: Each (C_i, K_i, E): C_i tags with K_i text embeddings each.
        weights: (C, D), the row of the classifier that belongs to each tag; None where all tags
            share one.
        biases: (C,) beside them.
    """

    blocks: tuple[Tensor, ...]
    weights: Tensor | None = None
    biases: Tensor | None = None

    def __len__(self) -> int:
        return sum(block.shape[0] for block in self.blocks)

    def select(self, indices: Sequence[int]) -> Labels:
        """Returns the tags of some places, in the order in which they are named."""
        starts = [0]
        for block in self.blocks:
            starts.append(starts[-1] + block.shape[0])
        owners = [sum(index >= start for start in starts[1:]) for index in indices]
        blocks = [
            self.blocks[owner][torch.tensor([index - starts[owner] for _, index in run])]
            for owner, run in groupby(zip(owners, indices, strict=True), key=lambda pair: pair[0])
        ]
        chosen = torch.tensor(list(indices), dtype=torch.long)
        return Labels(
            tuple(blocks),
            None if self.weights is None else self.weights[chosen],
            None if self.biases is None else self.biases[chosen],
        )

    def followed_by(self, others: Labels) -> Labels:
        """Returns these tags and behind them the others; both share one classifier."""
        assert self.weights is None and others.weights is None
        return Labels((*self.blocks, *others.blocks))
