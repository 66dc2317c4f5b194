"""Whole Llama layers with packed weights, in as few operations as they take.

For a follow-up's few dozen tokens, or the one token of a decoding step, a CPU spends much of its
time on what surrounds the matrix products: some thirty small operations and ten modules a layer.
Here norms are three operations, queries and keys are turned by one complex product, and attention
reads the keys and values as they are instead of repeating them for every head.
"""

from __future__ import annotations

import math
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

from lisa.models.packed_weights import PackedMatrix, not_to_be_saved


class PassInputs:
    """What the layers of one model derive from inputs that they share, derived once a pass."""

    def __init__(self) -> None:
        # One slot, replaced as a whole: threads that take turns only derive more often.
        self._last: tuple[tuple[Tensor, Tensor], Tensor | None, Tensor, Tensor | None] | None = None

    def derive(
        self, rotation: tuple[Tensor, Tensor], mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return angles as complex numbers (N or 1, T, 1, W/2), and an additive mask.

        Args:
            rotation: Cosines and sines, each (N or 1, T, W), the second half as the first.
            mask: (N, 1, T, L), bool or additive.
        """
        last = self._last
        if last is None or last[0] is not rotation or last[1] is not mask:
            half = rotation[0].shape[-1] // 2
            cosines, sines = (one[..., :half] for one in rotation)
            additive = mask
            if mask is not None and mask.dtype == torch.bool:
                additive = torch.zeros(mask.shape).masked_fill_(~mask, -torch.inf)
            last = (rotation, mask, torch.complex(cosines, sines).unsqueeze(2), additive)
            self._last = last
        return last[2], last[3]


class PackedLlamaLayer(nn.Module):
    """A layer of a Llama language model (Touvron et al. 2023, section 2.2), for inference.

    Its weights are no parameters: they can neither be trained nor saved.
    """

    def __init__(self, layer: LlamaDecoderLayer, inputs: PassInputs) -> None:
        """Take the place of a layer.

        Args:
            layer: That :func:`is_plain_llama_layer` accepts.
            inputs: Shared by the layers of a model.
        """
        super().__init__()
        self._inputs = inputs
        attention, mlp = cast(Any, layer.self_attn), cast(Any, layer.mlp)
        self._index: int = attention.layer_idx
        self._scaling: float = attention.scaling
        self._width: int = attention.head_dim
        self._key_heads = attention.k_proj.out_features // self._width
        self._query_heads = attention.q_proj.out_features // self._width
        turned = [_interleaved(one, self._width) for one in (attention.q_proj, attention.k_proj)]
        self._norm_before, self._norm_between = (
            _Norm(one) for one in (layer.input_layernorm, layer.post_attention_layernorm)
        )
        self._read = PackedMatrix([*turned, attention.v_proj], self._norm_before.scale)
        self._write = PackedMatrix([attention.o_proj])
        self._expand = PackedMatrix([mlp.gate_proj, mlp.up_proj], self._norm_between.scale)
        self._contract = PackedMatrix([mlp.down_proj])

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        past_key_values: Cache | None = None,
        **_: Any,
    ) -> Tensor:
        """Map states (N, T, D) to states, as transformers' own layer does.

        Args:
            hidden_states: float32.
            attention_mask: (N, 1, T, L), bool or additive; None reads all that came before.
            position_embeddings: Cosines and sines, each (N or 1, T, width of a head).
            past_key_values: Keys and values of what was read before; grows by T.
        """
        assert position_embeddings is not None
        attended = self._attend(
            self._norm_before(hidden_states), attention_mask, position_embeddings, past_key_values
        )
        states = self._write(attended).add_(hidden_states)
        gate, up = self._expand(self._norm_between(states)).chunk(2, dim=-1)
        return self._contract(functional.silu(gate).mul_(up)).add_(states)

    def _attend(
        self,
        states: Tensor,
        mask: Tensor | None,
        rotation: tuple[Tensor, Tensor],
        past: Cache | None,
    ) -> Tensor:
        angles, additive = self._inputs.derive(rotation, mask)
        rows, length, _ = states.shape
        heads = self._read(states).view(rows, length, -1, self._width)
        turned = self._query_heads + self._key_heads
        both = _turn(heads[:, :, :turned], angles).transpose(1, 2)
        queries, keys = both[:, : self._query_heads], both[:, self._query_heads :]
        values = heads[:, :, turned:].transpose(1, 2)
        if past is not None:
            keys, values = past.update(keys, values, self._index)
        seen = functional.scaled_dot_product_attention(
            queries,
            keys,
            values,
            additive,
            is_causal=mask is None and length > 1,
            scale=self._scaling,
            enable_gqa=self._query_heads != self._key_heads,
        )
        return seen.transpose(1, 2).reshape(rows, length, -1)

    def _save_to_state_dict(self, *_: Any) -> None:
        raise not_to_be_saved()


class _Norm:
    """A root mean square norm (Zhang and Sennrich 2019), its weight left to what reads it.

    x / sqrt(mean(x²) + e) is sqrt(n) x / sqrt(|x|² + n e), for x of n numbers.

    Attributes:
        scale: (n,) by which the result still has to be multiplied.
    """

    def __init__(self, norm: Any) -> None:
        weight: Tensor = norm.weight.detach()
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


def _turn(heads: Tensor, angles: Tensor) -> Tensor:
    """Turn pairs by their position's angles (RoPE; Su et al. 2021, section 3.2.2).

    Args:
        heads: (N, T, H, W), pairs side by side.
        angles: Complex (N or 1, T, 1, W/2).
    """
    pairs = torch.view_as_complex(heads.view(*heads.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * angles).view(heads.shape)
