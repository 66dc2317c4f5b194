"""How much a computation asks of a machine, counted from the shapes of its tensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

# Not every torch has them.
_PACKED_LINEAR: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
_HALF_LINEAR: Any = getattr(torch.ops.quantized, "linear_dynamic_fp16", None)


@dataclass(frozen=True)
class Work:
    """What has to be done.

    Attributes:
        flops: Floating-point operations of matrix products, convolutions and attention; a
            multiplication and an addition count as two.
        bytes: Bytes that these read and write, each operand once.
    """

    flops: float
    bytes: float


def count_work(run: Callable[[], object]) -> Work:
    """Run something once and count what it asks for.

    Args:
        run: What.
    """
    known = [one for one in (_PACKED_LINEAR, _HALF_LINEAR) if one is not None]
    packed: dict[Any, Any] = dict.fromkeys(known, _packed_linear_flops)
    counter = FlopCounterMode(display=False, custom_mapping=packed)
    moved = _MovedBytes(counter)
    with torch.no_grad(), counter, moved:
        run()
    return Work(float(counter.get_total_flops()), float(moved.total))


class _MovedBytes(TorchDispatchMode):
    """Adds up the operands and results of all operations that a flop counter counts."""

    def __init__(self, counter: FlopCounterMode) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._counted = counter.flop_registry
        self.total = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in self._counted:
            tensors = tree_leaves((args, kwargs, result))
            self.total += sum(one.nbytes for one in tensors if isinstance(one, Tensor))
        if func.overloadpacket == _HALF_LINEAR:
            # Its weights (out, in) are no tensor.
            self.total += result.shape[-1] * args[0].shape[-1] * torch.float16.itemsize
        return result


def _packed_linear_flops(
    states: tuple[int, ...], *_: Any, out_shape: tuple[int, ...], **__: Any
) -> int:
    """Count (..., in) times a packed (out, in)."""
    return 2 * math.prod(states) * out_shape[-1]
