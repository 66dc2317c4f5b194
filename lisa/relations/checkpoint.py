"""Relation weights on disk: Relate-Anything's `.pth` and our own folders, both read safely.

A folder of ours holds `relations.json` (the configuration) and `model.safetensors`, itself or in
`relations/` beside the weights of a LISA model; a released file stands alone, and its sizes follow
from its shapes. Of a model of relations between named things the configuration is called
`named_relations.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import nn

from lisa.errors import CheckpointError, ConfigError
from lisa.hub import resolve
from lisa.relations.classed_model import ClassedRelationConfig, ClassedRelationModel
from lisa.relations.config import RelationConfig, config_from_shapes
from lisa.relations.model import RelationModel
from lisa.relations.vocabulary import PREDICATES
from lisa.released.shards import Checkpoint, TensorInfo

CONFIG_FILE = "relations.json"
CLASSED_FILE = "named_relations.json"
WEIGHTS_FILE = "model.safetensors"
_IN_LISA = "relations"
WEIGHT_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")

Model = TypeVar("Model", bound=nn.Module)
Config = TypeVar("Config")

# A counter that older transformers kept among BERT's weights.
_IGNORED = "model.embeddings.position_ids"


def load_model(
    name_or_path: str | Path,
    *,
    predicates: Sequence[str] = PREDICATES,
    num_heads: int | None = None,
    revision: str | None = None,
    offline: bool = False,
) -> RelationModel:
    """Load a relation model, on the CPU and in the number type that is stored.

    Args:
        name_or_path: A weight file, a folder, or a hub id whose repository is such a folder.
        predicates: Of a released file; a folder of ours says its own.
        num_heads: Of a released file; None as `config_from_shapes`.
        revision: Branch, tag or commit on the hub.
        offline: Never ask the network.

    Raises:
        CheckpointError: If weights cannot be found, read, or do not fit.
    """
    path = Path(name_or_path).expanduser()
    if not path.is_file():
        if path.suffix in WEIGHT_SUFFIXES:
            raise CheckpointError(
                f"There is no {path}: give relation weights in Relate-Anything's layout, such as "
                "ram_epoch12.pth, or a folder that this project saved."
            )
        path = resolve(name_or_path, revision, offline, pickled="*.pth")
    if (path / _IN_LISA / CONFIG_FILE).is_file():
        path = path / _IN_LISA
    if (path / CLASSED_FILE).is_file():
        raise CheckpointError(
            f"{path} holds relations of named things, which read panoptic segments: use "
            "SceneGraphPredictor, or give weights that read mask tokens."
        )
    checkpoint, config = _open(path, predicates, num_heads)
    return _fill(lambda: RelationModel(config), checkpoint, path)


def save_model(model: RelationModel, folder: str | Path) -> None:
    """Write a model as a folder that `load_model` reads."""
    _save(model, model.config.to_dict(), Path(folder) / CONFIG_FILE)


def is_classed(name_or_path: str | Path, *, offline: bool = False) -> bool:
    """Return whether weights belong to a model that `load_classed_model` reads.

    Raises:
        CheckpointError: If a hub repository cannot be had.
    """
    path = Path(name_or_path).expanduser()
    if path.is_file() or path.suffix in WEIGHT_SUFFIXES:
        return False
    return (resolve(name_or_path, None, offline, pickled="*.pth") / CLASSED_FILE).is_file()


def load_classed_model(
    name_or_path: str | Path, *, revision: str | None = None, offline: bool = False
) -> ClassedRelationModel:
    """Load a model of relations between named things, on the CPU.

    Args:
        name_or_path: A folder that `save_classed_model` wrote, or a hub id of such a folder.
        revision: Branch, tag or commit on the hub.
        offline: Never ask the network.

    Raises:
        CheckpointError: If weights cannot be found, read, or do not fit.
    """
    folder = resolve(name_or_path, revision, offline, pickled=None)
    if not (folder / CLASSED_FILE).is_file():
        raise CheckpointError(
            f"{name_or_path} holds no {CLASSED_FILE}: give a folder that `python -m "
            "training.relations` wrote."
        )
    config = _read_config(folder / CLASSED_FILE, ClassedRelationConfig.from_dict)
    return _fill(lambda: ClassedRelationModel(config), Checkpoint.open(folder), folder)


def save_classed_model(model: ClassedRelationModel, folder: str | Path) -> None:
    """Write a model as a folder that `load_classed_model` reads."""
    _save(model, model.config.to_dict(), Path(folder) / CLASSED_FILE)


def _fill(build: Callable[[], Model], checkpoint: Checkpoint, path: Path) -> Model:
    """Build a model with the weights of a checkpoint, of which every key is accounted for."""
    with torch.device("meta"):
        empty = build()
    wanted = {name: TensorInfo.of(tensor) for name, tensor in empty.state_dict().items()}
    faults = checkpoint.faults(wanted, lambda name: name == _IGNORED)
    if faults:
        raise CheckpointError(
            f"{path} does not hold the weights of a relation model ({'; '.join(faults)}): give a "
            "file in Relate-Anything's layout, or a folder that this project saved."
        )
    weights = {name: tensor for name, tensor in checkpoint.stream() if name != _IGNORED}
    model = build()
    # Assigned, not copied: the weights keep their number type, and may stay mapped from the file.
    model.load_state_dict(weights, assign=True)
    return model.eval()


def _save(model: nn.Module, config: dict[str, Any], config_file: Path) -> None:
    folder = config_file.parent
    folder.mkdir(parents=True, exist_ok=True)
    config_file.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    weights = {name: value.contiguous().cpu() for name, value in model.state_dict().items()}
    save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})


def _open(
    path: Path, predicates: Sequence[str], num_heads: int | None
) -> tuple[Checkpoint, RelationConfig]:
    if path.is_dir() and (path / CONFIG_FILE).is_file():
        return Checkpoint.open(path), _read_config(path / CONFIG_FILE, RelationConfig.from_dict)
    if path.is_dir():
        path = _only_file(path)
    checkpoint = Checkpoint.of_file(path)
    shapes = {name: info.shape for name, info in checkpoint.tensors.items()}
    return checkpoint, config_from_shapes(shapes, predicates, num_heads)


def _only_file(folder: Path) -> Path:
    found = sorted(path for path in folder.iterdir() if path.suffix in WEIGHT_SUFFIXES)
    if len(found) != 1:
        raise CheckpointError(
            f"{folder} holds no {CONFIG_FILE} and {len(found)} weight files "
            f"({', '.join(WEIGHT_SUFFIXES)}) where one was expected: name the file itself."
        )
    return found[0]


def _read_config(path: Path, build: Callable[[dict[str, Any]], Config]) -> Config:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise TypeError("it holds no settings")
        return build(data)
    except (OSError, ValueError, TypeError, ConfigError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({error}): save or fetch the folder again."
        ) from error
