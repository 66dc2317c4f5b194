"""Products with the language model's weights by oneDNN or FBGEMM, in the order that they read.

A follow-up question is a few dozen tokens, and products of so few rows spend much of their time on
bringing weights into the order that the kernel wants. Done once, at loading, it costs about half a
second for lisa-nano (`PackedMatrix`), which a single answer does not earn back: for that, weights
stay where they are (`PlainMatrix`), and oneDNN is still faster than what torch takes for float32.
In float32 only the order of additions differs; in bfloat16 the operands and the result of each
product are rounded, and what is between the products is not. In float16 (`HalfMatrix`) weights are
rounded, and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lisa.errors import CheckpointError

_TYPICAL_ROWS = 16
"""oneDNN chooses an order for about so many rows, and takes any number of them."""


_Parts = list[tuple[Tensor, Tensor | None]]


class PlainMatrix:
    """Weights of one or more linear layers that read the same states, where they are."""

    def __init__(
        self, layers: Sequence[nn.Linear], dtype: torch.dtype, scale: Tensor | None = None
    ) -> None:
        """Take weights on the CPU.

        Args:
            layers: With the same number of inputs; at least one.
            dtype: Of the product, float32 or bfloat16.
            scale: (in,) by which states are to be multiplied before; None leaves them.
        """
        self._dtype = dtype
        self._parts, self._scale = self._prepare(layers, scale)
        # Not every torch has it; and looked up once, a call is a little sooner.
        self._multiply = torch.ops.mkldnn._linear_pointwise.default

    def __call__(self, states: Tensor) -> Tensor:
        """Map (..., in) to (..., the sum of out) of the same number type."""
        scaled = states if self._scale is None else states * self._scale
        rounded = scaled.to(self._dtype)
        products = [self._multiply(rounded, *part, "none", [], "") for part in self._parts]
        product: Tensor = products[0] if len(products) == 1 else torch.cat(products, dim=-1)
        return product.to(states.dtype)

    def _prepare(
        self, layers: Sequence[nn.Linear], scale: Tensor | None
    ) -> tuple[_Parts, Tensor | None]:
        """Return weights and biases, and what still has to be multiplied with states.

        Nothing is copied that has the number type already.
        """
        biases = [None if one.bias is None else self._typed(one.bias) for one in layers]
        return list(zip([self._typed(one.weight) for one in layers], biases, strict=True)), scale

    def _typed(self, weight: Tensor) -> Tensor:
        return weight.detach().to(self._dtype)


class PackedMatrix(PlainMatrix):
    """The same weights as one matrix in oneDNN's order."""

    def _prepare(
        self, layers: Sequence[nn.Linear], scale: Tensor | None
    ) -> tuple[_Parts, Tensor | None]:
        weight = _joined([layer.weight.detach() for layer in layers], scale)
        return [self._pack(weight, _joined_biases(layers))], None

    def _pack(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        packed = torch.ops.mkldnn._reorder_linear_weight(self._typed(weight), _TYPICAL_ROWS)
        return packed, None if bias is None else self._typed(bias)


class HalfMatrix(PackedMatrix):
    """The same weights as one matrix of float16 in FBGEMM's order, with their bias in it.

    They come from memory in half the time, which is what products of a few rows wait for, and are
    multiplied and added up in float32.
    """

    def __init__(
        self, layers: Sequence[nn.Linear], dtype: torch.dtype, scale: Tensor | None = None
    ) -> None:
        """Take weights as :class:`PlainMatrix` does; of any `dtype`, they are kept in float16."""
        super().__init__(layers, dtype, scale)
        self._multiply = torch.ops.quantized.linear_dynamic_fp16.default

    def __call__(self, states: Tensor) -> Tensor:
        """Map (..., in) to (..., the sum of out) of the same number type."""
        product: Tensor = self._multiply(states.float(), self._parts[0][0])
        return product.to(states.dtype)

    def _pack(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return torch.ops.quantized.linear_prepack_fp16(weight.float(), bias), None


class PackedProduct:
    """Linear layers that read the same states, as one matrix."""

    def __init__(
        self,
        layers: Sequence[nn.Linear],
        dtype: torch.dtype,
        kind: type[PlainMatrix] = PackedMatrix,
    ) -> None:
        """Take weights on the CPU.

        Args:
            layers: With the same number of inputs; at least one.
            dtype: Of the product, as `kind` takes it.
            kind: Of matrix.
        """
        self._sizes = [layer.out_features for layer in layers]
        self._matrix = kind(layers, dtype)
        # By thread: what was read last, and the parts of its product that were not taken yet.
        self._waiting: dict[int, tuple[Tensor, dict[int, Tensor]]] = {}

    def part(self, place: int, states: Tensor) -> Tensor:
        """Return what the layer at a place makes of states (..., in).

        The first layer to read a tensor multiplies for all; the others take their parts of it.
        """
        if len(self._sizes) == 1:
            return self._matrix(states)
        thread = threading.get_ident()
        read, parts = self._waiting.pop(thread, (None, {}))
        if read is not states or place not in parts:
            parts = dict(enumerate(self._matrix(states).split(self._sizes, dim=-1)))
        part = parts.pop(place)
        if parts:
            self._waiting[thread] = (states, parts)
        return part


class PackedLinear(nn.Module):
    """A linear layer for inference on x86 CPUs.

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
        """Map (..., in) to (..., out) of the same number type."""
        return self._product.part(self._place, states)

    def extra_repr(self) -> str:
        """Describe the layer as torch's own does."""
        return f"in_features={self.in_features}, out_features={self.out_features}"

    def _save_to_state_dict(self, *_: Any) -> None:
        raise not_to_be_saved()


def not_to_be_saved() -> CheckpointError:
    """Return the error of whoever saves a module whose weights are packed."""
    return CheckpointError(
        "the weights of this model are packed for speed: load it with pack_weights=False to save "
        "it."
    )


def _joined(weights: Sequence[Tensor], scale: Tensor | None) -> Tensor:
    """Return weights (out, in) below each other, multiplied in float32; in one copy or none."""
    if scale is None:
        return weights[0] if len(weights) == 1 else torch.cat(list(weights))
    joined = scale.new_empty(sum(map(len, weights)), len(scale))
    for weight, part in zip(weights, joined.split([len(one) for one in weights]), strict=True):
        torch.mul(weight, scale, out=part)
    return joined


def _joined_biases(layers: Sequence[nn.Linear]) -> Tensor | None:
    """Return biases behind each other in float32, zeros where one is missing; None if all are."""
    if all(layer.bias is None for layer in layers):
        return None
    return torch.cat(
        [
            torch.zeros(one.out_features) if one.bias is None else one.bias.detach().float()
            for one in layers
        ]
    )
