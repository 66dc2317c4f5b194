"""The most memory that some work took, of this process and of a GPU."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from lisa.measurement import Measurement

MIB = 1 << 20

_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Peak:
    """Memory in bytes.

    Attributes:
        before: What was in use when the work began, models included.
        most: The most that was in use until it ended.
    """

    before: float
    most: float

    @property
    def added(self) -> float:
        """What the work took for itself."""
        return self.most - self.before


def added_memory(ours: Peak, baseline: Peak) -> Measurement:
    """Compare what two ways of working took for themselves.

    What was freed before may serve all of a small piece of work, so each counts as 1 MiB at least.
    """
    mine, theirs = (max(one.added, MIB) / MIB for one in (ours, baseline))
    return Measurement.of([mine], "MiB", [theirs])


def measure_peak(run: Callable[[], object], device: torch.device) -> Peak | None:
    """Run something and tell how much memory there was in use meanwhile.

    Args:
        run: What.
        device: A GPU, whose own memory counts; for the CPU that of this process does.

    Returns:
        None where the system does not tell: the memory of a process elsewhere than on Linux.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        allocated = torch.cuda.memory_allocated(device)
        run()
        return Peak(allocated, torch.cuda.max_memory_allocated(device))
    _return_freed()
    if not _reset_peak():
        return None
    before = _status("VmRSS")
    run()
    return Peak(before, _status("VmHWM"))


def _return_freed() -> None:
    """Give memory that was freed back to the system, or the work is served from it uncounted.

    glibc keeps what lies below something that is still in use; others have no such call.
    """
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _status(name: str) -> float:
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    value = next(line for line in lines if line.startswith(f"{name}:"))
    return float(value.split()[1]) * 1024


def _reset_peak() -> bool:
    """Let the kernel count the peak from now on."""
    try:
        _RESET.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True
