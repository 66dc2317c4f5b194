"""Weights of the language model in the order in which oneDNN reads them.

A follow-up question is a few dozen tokens, and products of so few rows spend much of their time on
bringing float32 weights into the order that the kernel wants. Done once, at loading, it costs a
quarter of a second for lisa-nano. The numbers stay float32: only the order of additions differs.
"""

from __future__ import annotations

import platform
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lisa.errors import CheckpointError

SMALLEST = 1 << 16
"""Entries of a weight matrix below which there is nothing to gain."""

_TYPICAL_ROWS = 16
"""oneDNN chooses an order for about so many rows, and takes any number of them."""


class PackedLinear(nn.Module):
    """A linear layer of float32 for inference on x86 CPUs.

    Its weights are no parameters: they can neither be trained nor saved.
    """

    def __init__(self, linear: nn.Linear) -> None:
        """Pack the weights of a layer on the CPU."""
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach()
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight, _TYPICAL_ROWS)
        self._bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, states: Tensor) -> Tensor:
        """Map (..., in) to (..., out), both float32."""
        multiply = torch.ops.mkldnn._linear_pointwise
        return cast(Tensor, multiply(states, self._packed, self._bias, "none", [], ""))

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
    count = 0
    for owner in owners:
        for name, layer in list(owner.named_children()):
            # Not its subclasses: those have weights of their own kind.
            if type(layer) is nn.Linear and layer.weight.numel() >= SMALLEST:
                setattr(owner, name, PackedLinear(layer))
                count += 1
    return count
