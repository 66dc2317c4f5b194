"""What a machine can do, what work asks of it, and the memory that work takes."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from eval.timings import ceiling
from eval.timings.ceiling import Ceiling, measure_ceiling
from eval.timings.memory import measure_peak
from eval.timings.work import count_work
from lisa.models.packed_weights import HalfMatrix, PackedLinear, PackedProduct
from lisa.models.packing import packing_pays

CPU = torch.device("cpu")


def test_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ceiling._SIDES, "cpu", 128)
    monkeypatch.setitem(ceiling._COPIED_BYTES, "cpu", 1 << 20)
    found = measure_ceiling(CPU, torch.float32)
    assert found.flops > 1e6 and found.bytes > 1e6


def test_the_scarcer_of_two_bounds_the_time() -> None:
    limits = Ceiling(flops=100.0, bytes=10.0)
    assert limits.share(operations=100, moved=1, took=2.0) == 0.5
    assert limits.share(operations=1, moved=20, took=2.0) == 1.0


def test_work_of_a_product() -> None:
    left, right = torch.randn(3, 5), torch.randn(5, 7)
    work = count_work(lambda: torch.relu(left @ right))
    assert work.flops == 2 * 3 * 5 * 7
    assert work.bytes == 4 * (3 * 5 + 5 * 7 + 3 * 7)


def test_packed_weights_are_as_much_work() -> None:
    linear, states = nn.Linear(48, 80, bias=False), torch.randn(2, 9, 48)
    with torch.no_grad():
        plain = count_work(lambda: linear(states))
        if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
            pytest.skip("this torch has no oneDNN")
        packed = PackedLinear(linear, PackedProduct([linear], torch.float32), 0)
        assert count_work(lambda: packed(states)) == plain


@pytest.mark.skipif(
    not packing_pays(CPU, torch.float16), reason="this torch has no products with such weights"
)
def test_weights_in_half_precision_are_as_much_work_and_half_the_bytes() -> None:
    linear, states = nn.Linear(48, 80, bias=False), torch.randn(2, 9, 48)
    product = PackedProduct([linear], torch.float16, HalfMatrix)
    packed = PackedLinear(linear, product, 0)
    with torch.no_grad():
        plain, half = count_work(lambda: linear(states)), count_work(lambda: packed(states))
    assert half.flops == plain.flops == 2 * 2 * 9 * 48 * 80
    assert half.bytes == plain.bytes - 2 * 48 * 80


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
@pytest.mark.parametrize("freed_before", [0, 6000])
def test_peak_memory_is_that_of_the_work(freed_before: int) -> None:
    freed = [bytearray(60_000) for _ in range(freed_before)]
    kept = freed[-1:]  # above the others in the heap, so that they stay the process's
    del freed

    def run() -> None:
        torch.ones(25_000_000).add(1)  # two of 100 million bytes at once

    found = measure_peak(run, CPU)
    assert found is not None
    assert 150e6 < found.added < 350e6
    assert found.most == found.before + found.added
    assert len(kept) <= 1
