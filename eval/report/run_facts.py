"""What a run cost and what it ran on: seconds, memory, processes, versions, and which weights."""

from __future__ import annotations

import hashlib
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lisa import __version__

_PACKAGES = ("torch", "transformers", "numpy", "pillow", "pycocotools", "timm")
_WEIGHT_FILES = ("*.safetensors", "*.bin", "*.pth", "*.pt", "*.gguf")
_CHUNK = 1 << 22


@dataclass(frozen=True)
class RunFacts:
    """What differs from run to run though the answers are the same.

    Attributes:
        seconds: From the loaded model to the last answer; of a resumed run, its last part.
        answer_seconds: What all answers took together, those before an interruption too.
        host_peak_bytes: Most memory that the first process had; None where it is not known.
        device_peak_bytes: Most memory of its GPU; None without one.
        processes: How many shared the pictures.
        batch_size: Questions that were answered together at most.
        device: Where the model was.
        versions: Of this project, Python and the packages that decide the numbers.
    """

    seconds: float
    answer_seconds: float
    host_peak_bytes: int | None
    device_peak_bytes: int | None
    processes: int
    batch_size: int
    device: str
    versions: dict[str, str]

    def to_record(self) -> dict[str, Any]:
        """Return the facts as a JSON-ready record."""
        return asdict(self)


def library_versions() -> dict[str, str]:
    """Return the versions of this project, of Python and of the packages that decide numbers."""
    found = {"lisa-assistant": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def host_peak_bytes() -> int | None:
    """Return the most memory that this process has had; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def device_peak_bytes(device: str) -> int | None:
    """Return the most memory that tensors of this process have had on a GPU; None without one."""
    import torch

    return torch.cuda.max_memory_allocated(device) if device.startswith("cuda") else None


def weights_id(folder: Path) -> str | None:
    """Say which weights a folder holds.

    Returns:
        `commit ...` for a snapshot of a hub repository; else `sha256 ...` over the names and bytes
        of the weight files; None if there are none.
    """
    if folder.parent.name == "snapshots":
        return f"commit {folder.name}"
    files = sorted({path for pattern in _WEIGHT_FILES for path in folder.glob(pattern)})
    if not files:
        return None
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return f"sha256 {digest.hexdigest()}"
