"""The query decoder: each tag asks the picture for itself (Query2Label, arXiv 2107.10834).

A layer has attention to the picture and a feed-forward part, and no attention between tags. A tag's
answer therefore does not depend on which other tags are asked for.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

_EPS = 1e-12


class QueryDecoder(nn.Module):
    """Reads image tokens with one query per tag."""

    def __init__(
        self, hidden: int, intermediate: int, token_width: int, layers: int, heads: int
    ) -> None:
        super().__init__()
        stack = (_Layer(hidden, intermediate, token_width, heads) for _ in range(layers))
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(stack)})

    @property
    def layers(self) -> nn.ModuleList:
        """The layers in their order."""
        layers = self.encoder["layer"]
        assert isinstance(layers, nn.ModuleList)
        return layers

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Returns (B, C, hidden) for queries (B, C, hidden) and image tokens (B, P, D)."""
        for layer in self.layers:
            queries = layer(queries, tokens)
        return queries


class _Layer(nn.Module):
    def __init__(self, hidden: int, intermediate: int, token_width: int, heads: int) -> None:
        super().__init__()
        self.crossattention = _CrossAttention(hidden, token_width, heads)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(hidden, intermediate)})
        self.output = _dense_and_norm(intermediate, hidden)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        attended = self.crossattention(queries, tokens)
        inner = F.gelu(self.intermediate["dense"](attended))
        answers: Tensor = self.output["LayerNorm"](self.output["dense"](inner) + attended)
        return answers


class _CrossAttention(nn.Module):
    def __init__(self, hidden: int, token_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        # The names are those of the released weights.
        self.self = nn.ModuleDict(
            {
                "query": nn.Linear(hidden, hidden),
                "key": nn.Linear(token_width, hidden),
                "value": nn.Linear(token_width, hidden),
            }
        )
        self.output = _dense_and_norm(hidden, hidden)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        query, key, value = (
            self.self[name](states).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for name, states in (("query", queries), ("key", tokens), ("value", tokens))
        )
        seen = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        attended: Tensor = self.output["LayerNorm"](self.output["dense"](seen) + queries)
        return attended


def _dense_and_norm(width: int, hidden: int) -> nn.ModuleDict:
    return nn.ModuleDict(
        {"dense": nn.Linear(width, hidden), "LayerNorm": nn.LayerNorm(hidden, eps=_EPS)}
    )
