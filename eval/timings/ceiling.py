"""What a machine can do at most: a large matrix product, and a large copy, timed in this run."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lisa.measurement import in_turns, seconds

_SIDES = {"cpu": 1536, "cuda": 8192, "mps": 4096}
_COPIED_BYTES = {"cpu": 1 << 28, "cuda": 1 << 31, "mps": 1 << 29}
_ROUNDS = 7


@dataclass(frozen=True)
class Ceiling:
    """Rates that no computation on the device exceeds by much.

    Attributes:
        flops: Floating-point operations a second, of a square matrix product.
        bytes: Bytes a second that a copy reads and writes, together.
    """

    flops: float
    bytes: float

    def share(self, operations: float, moved: float, took: float) -> float:
        """Return how close a computation came to the time that its shapes ask for at least.

        Args:
            operations: Floating-point operations.
            moved: Bytes read and written.
            took: Seconds.

        Returns:
            About 1 at most: whichever is scarcer, operations or bytes, bounds the time (the
            roofline of Williams et al. 2009).
        """
        return max(operations / self.flops, moved / self.bytes) / took


def measure_ceiling(device: torch.device, dtype: torch.dtype) -> Ceiling:
    """Time a matrix product and a copy.

    Args:
        device: Where.
        dtype: Of the matrices.
    """
    side = _SIDES[device.type]
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    source = torch.ones(_COPIED_BYTES[device.type], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    product, copy = in_turns(
        (lambda: seconds(lambda: left @ right), lambda: seconds(lambda: target.copy_(source))),
        _ROUNDS,
    )
    # The fastest round, not the median: a ceiling is what the machine can do.
    return Ceiling(2 * side**3 / min(product), 2 * source.nbytes / min(copy))
