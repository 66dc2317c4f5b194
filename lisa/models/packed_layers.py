"""All layers of a Llama, in as few calls as they take.

For a follow-up's few dozen tokens, or the one token of a decoding step, a CPU spends much of its
time on what surrounds the matrix products: for each layer some thirty small operations, ten modules
and the views between them, all of which weights have driven out of its caches since they were used
last. Here norms are three operations, queries and keys are turned by one complex product, attention
reads the keys and values as they are instead of repeating them for every head, and nothing that all
layers share is derived twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Cache
from transformers.activations import SiLUActivation
from transformers.models.llama.modeling_llama import (
    LlamaAttention,
    LlamaDecoderLayer,
    LlamaMLP,
    LlamaRMSNorm,
)

from lisa.models.packed_weights import PackedMatrix, PlainMatrix, not_to_be_saved


class PackedLlamaLayers(nn.Module):
    """The layers of a Llama language model (Touvron et al. 2023, section 2.2), for inference.

    To the model they are one layer. Their weights are no parameters: they can neither be trained
    nor saved.
    """

    def __init__(
        self,
        layers: Iterable[LlamaDecoderLayer],
        dtype: torch.dtype,
        kind: type[PlainMatrix] = PackedMatrix,
    ) -> None:
        """Take the place of all layers of a model.

        Args:
            layers: That :func:`is_plain_llama_layer` accepts, in their order.
            dtype: Of the matrix products, or of their weights; all else is float32.
            kind: Of matrices.
        """
        super().__init__()
        self._layers = [_Layer(layer, dtype, kind) for layer in layers]

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        past_key_values: Cache | None = None,
        **_: Any,
    ) -> Tensor:
        """Map states (N, T, D) to states, as transformers' own layers do one after the other.

        Args:
            hidden_states: Of any number type, which the result gets back.
            attention_mask: (N, 1, T, L), bool or additive; None reads all that came before.
            position_embeddings: Cosines and sines, each (N or 1, T, width of a head), the second
                half as the first.
            past_key_values: Keys and values of what was read before; grows by T.
        """
        assert position_embeddings is not None
        half = position_embeddings[0].shape[-1] // 2
        cosines, sines = (one[..., :half].float() for one in position_embeddings)
        angles = torch.complex(cosines, sines).unsqueeze(2)
        mask = attention_mask
        if mask is not None and mask.dtype == torch.bool:
            mask = torch.zeros(mask.shape).masked_fill_(~mask, -torch.inf)
        elif mask is not None:
            mask = mask.float()
        # One list of all rows' tokens: only attention asks whose they are.
        states = hidden_states.flatten(0, 1).float()
        for layer in self._layers:
            states = layer(states, hidden_states.shape[:2], angles, mask, past_key_values)
        return states.view(hidden_states.shape).to(hidden_states.dtype)

    def _save_to_state_dict(self, *_: Any) -> None:
        raise not_to_be_saved()


class _Layer:
    """One of them."""

    def __init__(
        self, layer: LlamaDecoderLayer, dtype: torch.dtype, kind: type[PlainMatrix]
    ) -> None:
        attention, mlp = cast(Any, layer.self_attn), cast(Any, layer.mlp)
        self._index: int = attention.layer_idx
        self._scaling: float = attention.scaling
        self._width: int = attention.head_dim
        turned = (attention.q_proj, attention.k_proj)
        self._heads = [one.out_features // self._width for one in turned]
        self._sizes = [sum(self._heads) * self._width, attention.v_proj.out_features]
        self._norm_before, self._norm_between = (
            _Norm(one) for one in (layer.input_layernorm, layer.post_attention_layernorm)
        )
        self._read = kind(
            [*(_interleaved(one, self._width) for one in turned), attention.v_proj],
            dtype,
            self._norm_before.scale,
        )
        self._write = kind([attention.o_proj], dtype)
        self._expand = kind([mlp.gate_proj, mlp.up_proj], dtype, self._norm_between.scale)
        self._contract = kind([mlp.down_proj], dtype)

    def __call__(
        self,
        states: Tensor,
        shape: torch.Size,
        angles: Tensor,
        mask: Tensor | None,
        past: Cache | None,
    ) -> Tensor:
        """Map states (N T, D) to states.

        Args:
            states: Of all tokens.
            shape: N rows and T tokens in each.
            angles: Of the tokens' positions, complex (N or 1, T, 1, W/2).
            mask: Additive (N, 1, T, L), or None.
            past: Grows by T.
        """
        turned, kept = self._read(self._norm_before(states)).split_with_sizes(self._sizes, 1)
        # Rotary positions (Su et al. 2021, section 3.2.2) turn pairs of numbers by their angles.
        pairs = turned.view(torch.complex64).view(*shape, -1, self._width // 2)
        heads = (pairs * angles).view(torch.float32).transpose(1, 2)
        queries, keys = heads.split_with_sizes(self._heads, 1)
        values = kept.view(*shape, -1, self._width).transpose(1, 2)
        if past is not None:
            keys, values = past.update(keys, values, self._index)
        seen = functional.scaled_dot_product_attention(
            queries,
            keys,
            values,
            mask,
            is_causal=mask is None and shape[1] > 1,
            scale=self._scaling,
            enable_gqa=True,
        )
        states = self._write(seen.transpose(1, 2).reshape(len(states), -1)).add_(states)
        gate, up = self._expand(self._norm_between(states)).chunk(2, 1)
        return self._contract(functional.silu(gate).mul_(up)).add_(states)


class _Norm:
    """A root mean square norm (Zhang and Sennrich 2019), its weight left to what reads it.

    x / sqrt(mean(x²) + e) is sqrt(n) x / sqrt(|x|² + n e), for x of n numbers.

    Attributes:
        scale: (n,) by which the result still has to be multiplied.
    """

    def __init__(self, norm: Any) -> None:
        weight: Tensor = norm.weight.detach().float()
        self.scale = weight * math.sqrt(len(weight))
        self._floor = torch.tensor(math.sqrt(len(weight) * norm.variance_epsilon))

    def __call__(self, states: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(states, dim=-1, keepdim=True)
        return states / torch.hypot(length, self._floor)


def is_plain_llama_layer(layer: nn.Module) -> bool:
    """Tell whether a layer is transformers' own, with nothing changed inside."""
    if type(layer) is not LlamaDecoderLayer:
        return False
    attention, mlp = cast(Any, layer.self_attn), cast(Any, layer.mlp)
    if type(attention) is not LlamaAttention or type(mlp) is not LlamaMLP:
        return False
    linear = (
        *(attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj),
        *(mlp.gate_proj, mlp.up_proj, mlp.down_proj),
    )
    return (
        all(type(one) is nn.Linear for one in linear)
        and isinstance(mlp.act_fn, nn.SiLU | SiLUActivation)
        and type(layer.input_layernorm) is LlamaRMSNorm
        and type(layer.post_attention_layernorm) is LlamaRMSNorm
    )


def _interleaved(layer: nn.Linear, width: int) -> nn.Linear:
    """Bring each head's outputs i and i + width/2, which are turned together, side by side.

    Both queries and keys are in this order, so their products stay what they are.
    """
    order = torch.arange(layer.out_features).view(-1, 2, width // 2).transpose(1, 2).flatten()
    shape = (layer.in_features, layer.out_features)
    sorted_ = nn.Linear(*shape, layer.bias is not None, device="meta")  # initialises nothing
    sorted_.weight = nn.Parameter(layer.weight.detach()[order], requires_grad=False)
    if layer.bias is not None:
        sorted_.bias = nn.Parameter(layer.bias.detach()[order], requires_grad=False)
    return sorted_
