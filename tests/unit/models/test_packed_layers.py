from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import DynamicCache, LlamaConfig, LlamaModel
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from lisa.devices import multiplies_bfloat16
from lisa.errors import CheckpointError
from lisa.models.packed_layers import PackedLlamaLayers, is_plain_llama_layer
from lisa.models.packed_weights import PackedMatrix, PlainMatrix
from lisa.models.packing import can_pack_weights
from tests.tiny import tiny_model

pytestmark = pytest.mark.skipif(
    not can_pack_weights(tiny_model().backbone, torch.float32),
    reason="packing pays on x86 CPUs only",
)

WIDTH = 48


def language_model(key_heads: int = 2, **options: Any) -> LlamaModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=20,
        hidden_size=WIDTH,
        intermediate_size=80,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=key_heads,
        **options,
    )
    model = LlamaModel(config).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        parameter.normal_(mean=1.0 if "norm" in name else 0.0, std=0.3)
    return model


def packed_model(
    plain: LlamaModel, dtype: torch.dtype = torch.float32, kind: type[PlainMatrix] = PackedMatrix
) -> LlamaModel:
    packed = copy.deepcopy(plain)
    layers = PackedLlamaLayers(list(packed.layers), dtype, kind)  # type: ignore[arg-type]
    packed.layers = nn.ModuleList([layers])
    return packed


def read(model: LlamaModel, states: torch.Tensor, **options: Any) -> torch.Tensor:
    return model(inputs_embeds=states, **options).last_hidden_state


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(1, 3),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    key_heads=st.sampled_from([1, 2, 6]),
    bias=st.booleans(),
    attention=st.sampled_from(["sdpa", "eager"]),
    kind=st.sampled_from([PackedMatrix, PlainMatrix]),
)
def test_layers_read_a_sequence_in_parts_as_plain_ones_read_it_whole(
    rows: int,
    lengths: list[int],
    key_heads: int,
    bias: bool,
    attention: str,
    kind: type[PlainMatrix],
) -> None:
    plain = language_model(key_heads, attention_bias=bias, mlp_bias=bias)
    plain.set_attn_implementation(attention)
    packed = packed_model(plain, kind=kind)
    states = torch.randn(rows, sum(lengths), WIDTH)
    cache = DynamicCache(config=packed.config)
    parts = [read(packed, part, past_key_values=cache) for part in states.split(lengths, dim=1)]
    whole = read(plain, states, use_cache=False)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(read(packed, states, use_cache=False), whole, atol=1e-4, rtol=1e-4)


@settings(deadline=None, max_examples=20)
@given(padding=st.lists(st.integers(0, 5), min_size=2, max_size=4))
def test_padding_is_not_read(padding: list[int]) -> None:
    plain = language_model()
    packed = packed_model(plain)
    states = torch.randn(len(padding), 6, WIDTH)
    mask = torch.arange(6) >= torch.tensor(padding)[:, None]
    one, other = (read(model, states, attention_mask=mask.long()) for model in (plain, packed))
    torch.testing.assert_close(other[mask], one[mask], atol=1e-4, rtol=1e-4)
    assert torch.isfinite(other).all()


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0},
        {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0},
    ],
)
def test_positions_are_those_of_the_model(rope: dict[str, Any]) -> None:
    plain = language_model(rope_parameters=rope)
    packed = packed_model(plain)
    states, places = torch.randn(1, 4, WIDTH), torch.tensor([[0, 1, 7, 300]])
    one, other = (read(model, states, position_ids=places) for model in (plain, packed))
    torch.testing.assert_close(other, one, atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(not multiplies_bfloat16(), reason="no instructions for bfloat16")
@pytest.mark.parametrize("kind", [PackedMatrix, PlainMatrix])
@pytest.mark.parametrize("loaded", [torch.float32, torch.bfloat16])
def test_products_in_bfloat16_are_as_near_as_its_eight_bits(
    loaded: torch.dtype, kind: type[PlainMatrix]
) -> None:
    exact = language_model()
    plain = copy.deepcopy(exact).to(torch.bfloat16)
    packed = packed_model(copy.deepcopy(exact).to(loaded), torch.bfloat16, kind)
    states, mask = torch.randn(2, 9, WIDTH), torch.arange(9) >= torch.tensor([[0], [4]])
    whole = read(exact, states, attention_mask=mask.long())[mask]
    errors = []
    for model, dtype in ((plain, torch.bfloat16), (packed, loaded)):
        found = read(model, states.to(dtype), attention_mask=mask.long())
        assert found.dtype == dtype
        errors.append(float((found.float()[mask] - whole).norm() / whole.norm()))
    assert errors[1] < 0.03
    # What is between the products is not rounded, so it is nearer than all of it in bfloat16.
    assert errors[1] < errors[0]


def changed(change: str) -> nn.Module:
    class Other(nn.Linear):
        pass

    layer = language_model().layers[0]
    assert isinstance(layer, LlamaDecoderLayer)
    if change == "linear":
        layer.mlp.up_proj = Other(WIDTH, 80)
    elif change == "activation":
        layer.mlp.act_fn = nn.GELU()
    elif change == "norm":
        layer.input_layernorm = nn.LayerNorm(WIDTH)  # type: ignore[assignment]
    else:
        return nn.Identity()
    return layer


@pytest.mark.parametrize("change", ["linear", "activation", "norm", "layer"])
def test_a_layer_with_something_else_inside_is_left_alone(change: str) -> None:
    assert is_plain_llama_layer(language_model().layers[0])
    assert not is_plain_llama_layer(changed(change))


def test_packed_layers_are_not_saved_without_their_weights() -> None:
    with pytest.raises(CheckpointError, match="pack_weights=False"):
        packed_model(language_model()).state_dict()
