"""Weight files as they lie on disk: what tensors there are, and then one after the other.

Both kinds of files are read, `.bin` (pickled, through torch's restricted loader only) and
`.safetensors`, whether there is one file or an index of shards. Where the format allows, tensors
are mapped from the file: they cost no memory of their own until something changes or converts them.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lisa.errors import CheckpointError

# The order of preference: formats that cannot run code come first.
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_SINGLE_FILES = ("model.safetensors", "pytorch_model.bin")
_PICKLE_ERRORS = (
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class TensorInfo:
    """What is known of a tensor without reading it.

    Attributes:
        shape: Its sizes.
        dtype: Its number type.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def num_bytes(self) -> int:
        """Memory that the tensor takes."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize

    @classmethod
    def of(cls, tensor: Tensor) -> TensorInfo:
        """Describes a tensor, which may lie on the meta device."""
        return cls(tuple(tensor.shape), tensor.dtype)


@dataclass(frozen=True)
class Checkpoint:
    """The weight files of one folder.

    Attributes:
        folder: Where they lie.
        files: Their names, in the order in which they are read.
        tensors: Every tensor in them by its name.
    """

    folder: Path
    files: tuple[str, ...]
    tensors: Mapping[str, TensorInfo]

    @classmethod
    def open(cls, folder: Path) -> Checkpoint:
        """Finds the weight files of a folder and what is in them; reads no values.

        Raises:
            CheckpointError: If there are none, one is missing or damaged, or two hold one name.
        """
        files, promised = _find_files(folder)
        tensors: dict[str, TensorInfo] = {}
        for file in files:
            for name, info in _describe(folder / file):
                if name in tensors:
                    raise CheckpointError(
                        f"{folder} holds the weight {name} in two files; delete the one that does "
                        "not belong to the checkpoint."
                    )
                tensors[name] = info
        lost = sorted(promised - set(tensors))
        if lost:
            raise CheckpointError(
                f"The index of {folder} promises weights that its files lack: {name_some(lost)}; "
                "download the folder again."
            )
        return cls(folder, files, tensors)

    @classmethod
    def of_file(cls, path: Path) -> Checkpoint:
        """Describes a weight file that stands alone.

        Raises:
            CheckpointError: If it is damaged or no weight file.
        """
        return cls(path.parent, (path.name,), dict(_describe(path)))

    def faults(
        self, expected: Mapping[str, TensorInfo], is_ignored: Callable[[str], bool]
    ) -> list[str]:
        """Compares the weights with those that are needed; empty if all is well.

        Args:
            expected: What has to be there, by the file's names.
            is_ignored: Tells which others may be there too.
        """
        found = {name: info for name, info in self.tensors.items() if not is_ignored(name)}
        of_other_shape = [
            f"{name} {found[name].shape} instead of {info.shape}"
            for name, info in expected.items()
            if name in found and found[name].shape != info.shape
        ]
        return [
            f"{title}: {name_some(names)}"
            for title, names in (
                ("missing", sorted(set(expected) - set(found))),
                ("unexpected", sorted(set(found) - set(expected))),
                ("of another shape", sorted(of_other_shape)),
            )
            if names
        ]

    def stream(self) -> Iterator[tuple[str, Tensor]]:
        """Yields every tensor with its name, file by file, keeping none of them alive."""
        for file in self.files:
            yield from _read(self.folder / file)


def name_some(names: list[str], shown: int = 40) -> str:
    """Lists names for a message; a very long list is cut and its rest counted."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _find_files(folder: Path) -> tuple[tuple[str, ...], set[str]]:
    """Returns the weight files' names, and the names of the weights that an index promises."""
    for index, single in zip(_INDEXES, _SINGLE_FILES, strict=True):
        if (folder / index).is_file():
            weight_map = _read_index(folder / index)
            files = tuple(sorted(set(weight_map.values())))
            absent = [file for file in files if not (folder / file).is_file()]
            if absent:
                raise CheckpointError(
                    f"{folder} lacks {', '.join(absent)}, which {index} names; download the rest."
                )
            return files, set(weight_map)
        if (folder / single).is_file():
            return (single,), set()
    raise CheckpointError(
        f"{folder} holds no weights: none of {', '.join((*_SINGLE_FILES, *_INDEXES))}; "
        "give the folder of a complete checkpoint."
    )


def _read_index(path: Path) -> dict[str, str]:
    try:
        weight_map = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        files = {str(name): str(file) for name, file in weight_map.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is not an index of weights; download it again.") from error
    outside = [file for file in files.values() if Path(file).name != file]
    if outside or not files:
        raise CheckpointError(
            f"{path} names {outside[0] if outside else 'no file'}, where files beside it were "
            "expected; do not use this checkpoint."
        )
    return files


def _describe(path: Path) -> Iterator[tuple[str, TensorInfo]]:
    if path.suffix != ".safetensors":
        for name, tensor in _load_pickled(path, "meta").items():
            yield name, TensorInfo.of(tensor)
        return
    try:
        with safe_open(path, framework="pt") as file:
            # One number of each tensor is read at most: an empty slice carries the number type.
            for name in file.keys():
                part = file.get_slice(name)
                shape = tuple(part.get_shape())
                dtype = (part[:0] if shape else file.get_tensor(name)).dtype
                yield name, TensorInfo(shape, dtype)
    except (SafetensorError, OSError) as error:
        raise _damaged(path) from error


def _read(path: Path) -> Iterator[tuple[str, Tensor]]:
    if path.suffix != ".safetensors":
        tensors = _load_pickled(path, "cpu")
        while tensors:
            # One by one, so that a file that had to be read whole frees what is converted.
            yield tensors.popitem()
        return
    with safe_open(path, framework="pt") as file:
        for name in file.keys():
            yield name, file.get_tensor(name)


def _load_pickled(path: Path, device: str) -> dict[str, Tensor]:
    # Files in torch's older format (before 1.6) cannot be mapped and are read whole.
    mapped = zipfile.is_zipfile(path)
    try:
        content = torch.load(path, map_location=device, weights_only=True, mmap=mapped)
    except _PICKLE_ERRORS as error:
        raise _damaged(path) from error
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        # As a training run saves it, beside its optimizer's state, which stays unread where the
        # file is mapped.
        content = content["model"]
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise CheckpointError(
            f"{path} holds other things than named tensors; give the weights alone, as "
            "`torch.save(model.state_dict(), …)` writes them."
        )
    return dict(content)


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged, incomplete or no weight file; download it again (a file of a few "
        "hundred bytes is a placeholder of git LFS)."
    )
