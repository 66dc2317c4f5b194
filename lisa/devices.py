"""Where a model computes and with which numbers: chosen here, once, for every command.

`torch` is imported inside the functions, so that `lisa doctor --help` and the like stay fast.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lisa.errors import DeviceError

if TYPE_CHECKING:
    import torch

DTYPE_NAMES = ("float32", "bfloat16", "float16")
DEVICE_KINDS = ("cpu", "cuda", "mps")


@dataclass(frozen=True)
class Placement:
    """Device and number types of a loaded model.

    Attributes:
        device: Where every weight lives.
        dtype: Number type of the backbone and the heads.
        segmenter_dtype: Number type of the segmenter.
    """

    device: torch.device
    dtype: torch.dtype
    segmenter_dtype: torch.dtype


def choose_placement(
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    segmenter_dtype: str | torch.dtype | None = None,
) -> Placement:
    """Chooses the device and both number types together.

    Args:
        device: As `choose_device` takes it.
        dtype: As `choose_dtype` takes it.
        segmenter_dtype: As `dtype`; None gives the segmenter the type of the rest.

    Raises:
        DeviceError: As `choose_device` and `choose_dtype`.
    """
    chosen_device = choose_device(device)
    chosen_dtype = choose_dtype(dtype, chosen_device)
    if segmenter_dtype is None:
        return Placement(chosen_device, chosen_dtype, chosen_dtype)
    return Placement(chosen_device, chosen_dtype, choose_dtype(segmenter_dtype, chosen_device))


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """Turns a name into a device of this machine.

    Args:
        name: "auto" (the first of cuda, mps and cpu that is there; where a launcher started several
            processes, the GPU of this one), "cpu", "cuda", "cuda:1", "mps", or a torch device.

    Raises:
        DeviceError: The name is not a device's, or this machine has no such device.
    """
    import torch

    if isinstance(name, str) and name == "auto":
        if torch.cuda.is_available():
            own = os.environ.get("LOCAL_RANK", "")
            return torch.device(f"cuda:{own}" if own.isdigit() else "cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, ValueError, TypeError):
        device = None
    if device is None or device.type not in DEVICE_KINDS:
        raise DeviceError(f"device {str(name)!r} is not known: use auto, cpu, cuda, cuda:N or mps.")
    if device.type == "cuda":
        _check_cuda(device)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError(
            "device 'mps' was asked for, but this machine has no Apple GPU that torch can use: "
            "use --device cpu or auto."
        )
    return device


def _check_cuda(device: torch.device) -> None:
    import torch

    if not torch.cuda.is_available():
        raise DeviceError(
            f"device {str(device)!r} was asked for, but torch {torch.__version__} sees no CUDA GPU "
            "here: use --device cpu or auto, or install a driver that fits."
        )
    count = torch.cuda.device_count()
    if device.index is not None and device.index >= count:
        raise DeviceError(
            f"device {str(device)!r} was asked for, but this machine has {count} CUDA GPU(s), "
            f"numbered from 0: use cuda:0 to cuda:{count - 1}."
        )


def choose_dtype(
    name: str | torch.dtype = "auto", device: torch.device | None = None
) -> torch.dtype:
    """Turns a name into a number type that the device computes with.

    Args:
        name: "auto", "float32", "bfloat16", "float16", or one of these as a torch type. "auto" is
            bfloat16 on a GPU that has it, float16 on other GPUs, float32 on a CPU, where half
            precision takes time at loading that short sessions do not earn back.
        device: The device it is for; None means the CPU.

    Raises:
        DeviceError: The name is none of these.
    """
    import torch

    if isinstance(name, torch.dtype):
        name = str(name).removeprefix("torch.")
    if name == "auto":
        kind = "cpu" if device is None else device.type
        if kind == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return torch.float16 if kind == "mps" else torch.float32
    if name not in DTYPE_NAMES:
        raise DeviceError(f"number type {name!r} is not known: use auto, {', '.join(DTYPE_NAMES)}.")
    dtype = getattr(torch, name)
    assert isinstance(dtype, torch.dtype)
    return dtype


def multiplies_bfloat16() -> bool:
    """Tells whether this machine's CPU has instructions for products in bfloat16."""
    import torch

    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def pictures_at_once(device: torch.device) -> int:
    """Returns how many pictures a vision model of ours encodes fastest together.

    One keeps all cores of a CPU busy, and the states of several do not stay in its cache.
    """
    return 1 if device.type == "cpu" else 8


def cpu_threads() -> int:
    """Number of CPUs that this process may use, which is often fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def limit_threads(count: int | None = None) -> int:
    """Sets how many CPU threads torch computes with and returns the number.

    Args:
        count: The number wanted; None keeps `OMP_NUM_THREADS` where it is set and otherwise takes
            every CPU that this process may use.

    Raises:
        DeviceError: The number is smaller than one.
    """
    import torch

    if count is None:
        asked = os.environ.get("OMP_NUM_THREADS", "")
        count = int(asked) if asked.isdigit() and int(asked) > 0 else cpu_threads()
    if count < 1:
        raise DeviceError(f"{count} threads were asked for: use 1 or more.")
    torch.set_num_threads(count)
    return count
