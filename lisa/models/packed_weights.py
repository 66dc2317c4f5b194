"""Weights of the language model in the order in which oneDNN reads them.

A follow-up question is a few dozen tokens, and products of so few rows spend much of their time on
bringing float32 weights into the order that the kernel wants. Done once, at loading, it costs a
quarter of a second for lisa-nano. Layers that read the same states become one product. The numbers
stay float32: only the order of additions differs.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lisa.errors import CheckpointError

SMALLEST = 1 << 16
"""Entries of a weight matrix below which there is nothing to gain."""

_TYPICAL_ROWS = 16
"""oneDNN chooses an order for about so many rows, and takes any number of them."""

_READ_THE_SAME = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Layers of one module that transformers gives the same tensor, one after the other."""


class PackedProduct:
    """Linear layers that read the same states, as one matrix."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        """Pack float32 weights on the CPU.

        Args:
            layers: With the same number of inputs; at least one.
        """
        self._sizes = [layer.out_features for layer in layers]
        weight = torch.cat([layer.weight.detach() for layer in layers])
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, _TYPICAL_ROWS)
        self._bias = None
        if any(layer.bias is not None for layer in layers):
            self._bias = torch.cat([_bias(layer).detach() for layer in layers])
        # By thread: what was read last, and the parts of its product that were not taken yet.
        self._waiting: dict[int, tuple[Tensor, dict[int, Tensor]]] = {}

    def part(self, place: int, states: Tensor) -> Tensor:
        """Return what the layer at a place makes of states (..., in).

        The first layer to read a tensor multiplies for all; the others take their parts of it.
        """
        if len(self._sizes) == 1:
            return self._multiply(states)
        thread = threading.get_ident()
        read, parts = self._waiting.pop(thread, (None, {}))
        if read is not states or place not in parts:
            parts = dict(enumerate(self._multiply(states).split(self._sizes, dim=-1)))
        part = parts.pop(place)
        if parts:
            self._waiting[thread] = (states, parts)
        return part

    def _multiply(self, states: Tensor) -> Tensor:
        multiply = torch.ops.mkldnn._linear_pointwise
        return cast(Tensor, multiply(states, self._weight, self._bias, "none", [], ""))


class PackedLinear(nn.Module):
    """A linear layer of float32 for inference on x86 CPUs.

    Its weights are no parameters: they can neither be trained nor saved.
    """

    def __init__(self, layer: nn.Linear, product: PackedProduct, place: int) -> None:
        """Take the place of a layer.

        Args:
            layer: That was packed.
            product: With its weights.
            place: Its place there.
        """
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self._product, self._place = product, place

    def forward(self, states: Tensor) -> Tensor:
        """Map (..., in) to (..., out), both float32."""
        return self._product.part(self._place, states)

    def extra_repr(self) -> str:
        """Describe the layer as torch's own does."""
        return f"in_features={self.in_features}, out_features={self.out_features}"

    def _save_to_state_dict(self, *_: Any) -> None:
        raise CheckpointError(
            "the weights of this model are packed for speed: load it with pack_weights=False to "
            "save it."
        )


def can_pack_weights(backbone: PreTrainedModel) -> bool:
    """Tell whether packing pays: float32 on an x86 CPU, with a torch that has oneDNN."""
    return (
        backbone.device.type == "cpu"
        and backbone.dtype == torch.float32
        and not getattr(backbone, "is_quantized", False)
        and platform.machine().lower() in ("x86_64", "amd64")
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    )


def pack_large_weights(backbone: PreTrainedModel) -> int:
    """Pack the language model's large matrices in place; the embedding stays.

    Args:
        backbone: An image-text-to-text model for which packing pays.

    Returns:
        How many layers were packed.
    """
    owners: list[nn.Module] = [backbone]  # the head is its child
    owners += cast(Any, backbone.base_model).language_model.modules()
    return sum(_pack(owner) for owner in owners)


def _pack(owner: nn.Module) -> int:
    """Pack the children of a module."""
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
        product = PackedProduct(layers)
        for place, (name, layer) in enumerate(zip(names, layers, strict=True)):
            setattr(owner, name, PackedLinear(layer, product, place))
    return len(large)


def _bias(layer: nn.Linear) -> Tensor:
    return torch.zeros(layer.out_features) if layer.bias is None else layer.bias
