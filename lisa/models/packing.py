"""Which layers of a language model are packed, and when that pays."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedModel

from lisa.devices import multiplies_bfloat16
from lisa.models.backbone import language_dtype
from lisa.models.packed_layers import PackedLlamaLayers, is_plain_llama_layer
from lisa.models.packed_weights import (
    HalfMatrix,
    PackedLinear,
    PackedMatrix,
    PackedProduct,
    PlainMatrix,
)

SMALLEST = 1 << 16
"""Entries of a weight matrix below which there is nothing to gain."""

_READ_THE_SAME = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Layers of one module that transformers gives the same tensor, one after the other."""


def packing_pays(device: torch.device, dtype: torch.dtype) -> bool:
    """Tell whether packing for products of a number type pays: on x86 CPUs, by oneDNN or FBGEMM.

    Args:
        device: Where the model computes.
        dtype: float32, float16 or bfloat16.
    """
    return (
        _has_products(dtype)
        and device.type == "cpu"
        and platform.machine().lower() in ("x86_64", "amd64")
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    )


def _has_products(dtype: torch.dtype) -> bool:
    return _multiplies(dtype) or _has_half_weights(dtype)


def _rounds_weights_alone(states: torch.dtype, dtype: torch.dtype) -> bool:
    """Tell whether products with states of one number type take weights in half precision.

    States in float32 would lose more than the weights do if they were rounded as well, for little
    time (docs/speed.md); states in bfloat16 have nothing left to lose.
    """
    return _has_half_weights(dtype) and not (states == dtype and _multiplies(dtype))


def _multiplies(dtype: torch.dtype) -> bool:
    return dtype == torch.float32 or (dtype == torch.bfloat16 and multiplies_bfloat16())


def _has_half_weights(dtype: torch.dtype) -> bool:
    return dtype in (torch.float16, torch.bfloat16) and _has_half_products()


def _has_half_products() -> bool:
    return "fbgemm" in torch.backends.quantized.supported_engines and hasattr(
        torch.ops.quantized, "linear_prepack_fp16"
    )


def can_pack_weights(backbone: PreTrainedModel, dtype: torch.dtype) -> bool:
    """Tell whether packing pays for a model as it was loaded; see :func:`packing_pays`."""
    return (
        packing_pays(backbone.device, dtype)
        and language_dtype(backbone) in (torch.float32, dtype)
        and not getattr(backbone, "is_quantized", False)
    )


def pack_large_weights(
    backbone: PreTrainedModel, dtype: torch.dtype, kind: type[PlainMatrix] = PackedMatrix
) -> int:
    """Pack the language model's large matrices in place; the embedding stays.

    The layers of Llama models are packed as a whole, other models linear layer by linear layer.

    Args:
        backbone: An image-text-to-text model for which packing pays.
        dtype: Of the products. That of the head, which chooses words, is float32 in any case:
            rounded to eight bits, many words would be equally probable. For float16, and for
            bfloat16 unless the model is in it and the processor has instructions for it, weights
            alone are rounded, to float16.
        kind: Of matrices: packed for many answers, or plain, which takes no time and no memory, for
            a single one. Where weights alone are rounded, they are packed in any case.

    Returns:
        How many linear layers were packed.
    """
    language = cast(nn.Module, cast(Any, backbone.base_model).language_model)
    # Only who owns a list: to hold the layers themselves here would keep all their weights.
    owners = [
        one
        for one in language.modules()
        if any(isinstance(child, nn.ModuleList) for child in one.children())
    ]
    inner = HalfMatrix if _rounds_weights_alone(language_dtype(backbone), dtype) else kind
    packed = sum(_pack_layers(owner, dtype, inner) for owner in owners)
    # What remains of the language model; the head is a child of the backbone.
    packed += sum(_pack_linear(owner, dtype, inner) for owner in language.modules())
    return packed + _pack_linear(backbone, torch.float32, kind)


def _pack_layers(owner: nn.Module, dtype: torch.dtype, kind: type[PlainMatrix]) -> int:
    """Pack a child of a module that is a list of Llama layers; return of how many linear layers."""
    packed = 0
    for name, child in owner.named_children():
        if not isinstance(child, nn.ModuleList) or not all(map(is_plain_llama_layer, child)):
            continue
        sizes = [one.weight.numel() for one in child.modules() if isinstance(one, nn.Linear)]
        if sizes and min(sizes) >= SMALLEST:
            packed_layers = PackedLlamaLayers(cast(Any, _taken_out(child)), dtype, kind)
            setattr(owner, name, nn.ModuleList([packed_layers]))
            packed += len(sizes)
    return packed


def _taken_out(layers: nn.ModuleList) -> Iterator[nn.Module]:
    """Give one layer after the other away, so that no more than one is there twice."""
    for place in range(len(layers)):
        layer, layers[place] = layers[place], nn.Identity()
        yield layer
        del layer


def _pack_linear(owner: nn.Module, dtype: torch.dtype, kind: type[PlainMatrix]) -> int:
    """Pack the children of a module that are linear layers; return how many."""
    # Not subclasses of a linear layer: those have weights of their own kind.
    large = {
        name: child
        for name, child in owner.named_children()
        if type(child) is nn.Linear and child.weight.numel() >= SMALLEST
    }
    groups = [list(names) for names in _READ_THE_SAME if large.keys() >= set(names)]
    grouped = {name for names in groups for name in names}
    groups += [[name] for name in large if name not in grouped]
    for names in groups:
        layers = [large[name] for name in names]
        product = PackedProduct(layers, dtype, kind)
        for place, (name, layer) in enumerate(zip(names, layers, strict=True)):
            setattr(owner, name, PackedLinear(layer, product, place))
    return len(large)
