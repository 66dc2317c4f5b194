"""Tagging weights on disk: the released files and our own folders, both read safely.

A folder of ours holds `tagging.json` (the sizes), `model.safetensors` and `tags.json`; a LISA model
may carry one in its folder `tagging`. A released file stands alone: its sizes follow from its
shapes, and lists of tags are looked for beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lisa.errors import CheckpointError
from lisa.hub import read_json, resolve
from lisa.released.empty_model import parameters_on_meta, put
from lisa.released.shards import Checkpoint, TensorInfo
from lisa.tagging.config import TaggingConfig, TrunkSizes
from lisa.tagging.models import TaggingModel, build_model
from lisa.tagging.relative_positions import resize_table
from lisa.tagging.released import (
    Heads,
    config_from_shapes,
    for_image_size,
    is_ignored,
    to_ours,
)
from lisa.tagging.trunk_encoder import find_tower, tower_name

CONFIG_FILE = "tagging.json"
WEIGHTS_FILE = "model.safetensors"
IN_LISA = "tagging"
"""Folder of the tagger in the folder of a LISA model."""

_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")
_HUB_FILE = re.compile(r"([\w.-]+/[\w.-]+)/([\w.-]+\.(?:pth|pt|bin))")
_HUB_PATTERN = "*_14m.pth"
_LISTS = ("*.json", "*.txt")
_TABLE = "relative_position_bias_table"


@dataclass(frozen=True)
class TaggingFiles:
    """Where the weights of a tagging model were found.

    Attributes:
        folder: Their folder, in which lists of tags may lie too.
        weights: The weight file, under our names.
        config: The sizes, if the folder is one of ours.
        tower: The LISA model that stores the weights of the vision tower, if that is shared.
    """

    folder: Path
    weights: Checkpoint
    config: TaggingConfig | None
    tower: Checkpoint | None = None


def find_files(
    name_or_path: str | Path, revision: str | None = None, offline: bool = False
) -> TaggingFiles:
    """Finds a tagging model and reads what its weight file holds; no weight is read yet.

    Args:
        name_or_path: A weight file, a folder with one, "lisa-nano", a hub id, or a hub id and a
            file's name ("owner/name/file.pth").
        revision: Branch, tag or commit on the hub.
        offline: Use only what was downloaded before.

    Raises:
        CheckpointError: If there is no such thing, or it cannot be read.
    """
    path = Path(name_or_path).expanduser()
    named = _HUB_FILE.fullmatch(str(name_or_path))
    if not path.exists() and named:
        # That file alone, whatever else the repository holds, and lists beside it.
        wanted = (*_LISTS, named[2])
        path = resolve(named[1], revision, offline, wanted=wanted, pickled=None) / named[2]
    elif not path.is_file() and path.suffix in _SUFFIXES:
        raise CheckpointError(
            f"There is no file {name_or_path}: give the path of a tagging checkpoint."
        )
    elif not path.is_file():
        path = resolve(name_or_path, revision, offline, pickled=_HUB_PATTERN)
    if (path / IN_LISA / CONFIG_FILE).is_file():
        path = path / IN_LISA
    config, tower = None, None
    if (path / CONFIG_FILE).is_file():
        config = TaggingConfig.from_dict(read_json(path / CONFIG_FILE))
        path = path / WEIGHTS_FILE
        if isinstance(config.encoder, TrunkSizes):
            tower = find_tower(resolve(config.encoder.weights_of, None, offline))
    elif path.is_dir():
        path = _only_weights(path)
    found = Checkpoint.of_file(path)
    tensors = {to_ours(name): info for name, info in found.tensors.items()}
    return TaggingFiles(path.parent, replace(found, tensors=tensors), config, tower)


def _only_weights(folder: Path) -> Path:
    found = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise CheckpointError(
            f"{folder} holds no {CONFIG_FILE}, and where one weight file was expected there are: "
            f"{names}; name the file itself."
        )
    return found[0]


def load_model(
    files: TaggingFiles,
    *,
    with_text: bool = False,
    image_size: int | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
) -> TaggingModel:
    """Loads a tagging model, tensor by tensor; optimizer states are never read.

    Args:
        files: As `find_files` returns them.
        with_text: Load the text models too, which write captions.
        image_size: Side of the pictures to be seen; None takes that of the file.
        dtype: Number type; None keeps what is stored.
        device: Where the weights go as they are read.

    Raises:
        CheckpointError: If a weight is missing, unexpected or of another shape: all are listed.
        ConfigError: If the picture size cannot be.
    """
    config = _config(files, with_text, image_size)
    with parameters_on_meta():
        model = build_model(config)
    _check(files, model, with_text)
    wanted = {name for name in model.state_dict() if name not in model.tied_names()}
    for name, tensor in _stream(files):
        if name not in wanted:
            continue
        if name.endswith(_TABLE):
            tensor = resize_table(tensor, _window_of(model, name))
        # Counters of batches stay whole numbers.
        put(model, name, tensor.to(device, dtype if tensor.is_floating_point() else None))
    for name, buffer in list(model.named_buffers()):
        put(model, name, buffer.to(device))
    model.tie()
    model.train(False)
    return model


def _config(files: TaggingFiles, with_text: bool, image_size: int | None) -> TaggingConfig:
    config = files.config
    if config is None:
        if with_text and not any(name.startswith("text_dec") for name in files.weights.tensors):
            raise _no_text(files)
        return config_from_shapes(
            files.weights.tensors,
            with_text=with_text,
            image_size=image_size,
            heads=_heads_beside(files.folder),
        )
    if with_text and config.text is None:
        raise _no_text(files)
    encoder = for_image_size(config.encoder, image_size)
    return replace(config, encoder=encoder, text=config.text if with_text else None)


def _no_text(files: TaggingFiles) -> CheckpointError:
    return CheckpointError(
        f"{files.folder / files.weights.files[0]} holds no text models, so it writes no captions: "
        "give tag2text_swin_14m.pth, or a folder saved from it with them."
    )


def _heads_beside(folder: Path) -> Heads:
    """Reads the numbers of heads from the JSON files of the original code, where they lie there."""
    heads = Heads()
    if (folder / "q2l_config.json").is_file():
        heads = replace(heads, decoder=_heads_of(folder / "q2l_config.json"))
    if (folder / "med_config.json").is_file():
        heads = replace(heads, text=_heads_of(folder / "med_config.json"))
    return heads


def _heads_of(path: Path) -> int:
    number = read_json(path).get("num_attention_heads")
    if not isinstance(number, int) or number < 1:
        raise CheckpointError(
            f"{path} says num_attention_heads is {number!r}, where a whole number above zero was "
            "expected: fetch it again or delete it."
        )
    return number


def _check(files: TaggingFiles, model: TaggingModel, with_text: bool) -> None:
    tied, shared = model.tied_names(), model.shared_names()
    everything = {name: TensorInfo.of(tensor) for name, tensor in model.state_dict().items()}
    expected = {
        name: info for name, info in everything.items() if name not in tied and name not in shared
    }
    for name, info in files.weights.tensors.items():
        # A table of another window is resized, and may have any square of an odd number of rows.
        if name.endswith(_TABLE) and name in expected and _is_table(info.shape):
            heads = expected[name].shape[1]
            expected[name] = TensorInfo((info.shape[0], heads), info.dtype)
    faults = files.weights.faults(
        expected, lambda name: name in tied or is_ignored(name, with_text)
    )
    if faults:
        raise CheckpointError(
            f"The weights of {files.folder / files.weights.files[0]} are not those of a tagging "
            f"model ({'; '.join(faults)}); give a complete released file or a folder saved by "
            "lisa."
        )
    if files.tower is not None:
        _check_tower(files.tower, {name: everything[name] for name in shared})


def _check_tower(tower: Checkpoint, expected: Mapping[str, TensorInfo]) -> None:
    infos = {tower_name(name): info for name, info in tower.tensors.items()}
    faults = replace(tower, tensors=infos).faults(expected, lambda name: name not in expected)
    if faults:
        raise CheckpointError(
            f"The vision tower of {tower.folder} is not the one that the tagger reads "
            f"({'; '.join(faults)}); give the LISA model that it was trained with."
        )


def _is_table(shape: tuple[int, ...]) -> bool:
    side = int(shape[0] ** 0.5 + 0.5) if len(shape) == 2 else 0
    return side % 2 == 1 and side * side == shape[0]


def _window_of(model: nn.Module, name: str) -> int:
    table = model.get_parameter(name)
    return (int(table.shape[0] ** 0.5 + 0.5) + 1) // 2


def _stream(files: TaggingFiles) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in files.weights.stream():
        yield to_ours(name), tensor
    if files.tower is not None:
        for name, tensor in files.tower.stream():
            yield tower_name(name), tensor


def save_model(
    model: TaggingModel, config: TaggingConfig, labels: Mapping[str, Tensor], folder: Path
) -> None:
    """Writes sizes and weights as a folder that `find_files` knows; safetensors only.

    Args:
        model: The model.
        config: Its sizes with the tags that are saved.
        labels: The weights of these tags, which stand in for the model's own.
        folder: Where to write; it may exist if it is empty.

    Raises:
        CheckpointError: If the folder holds files already.
    """
    from safetensors.torch import save_file

    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        # Also keeps a checkpoint whose file is mapped from being written over.
        raise CheckpointError(f"{folder} is not an empty folder; choose another name for it.")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CONFIG_FILE, config.to_dict())
    elsewhere = model.tied_names().keys() | model.shared_names()
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in {**model.state_dict(), **labels}.items()
        if name not in elsewhere
    }
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Writes one JSON object."""
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
