"""The training scenes with the trunk's feature maps, computed once and kept on disk.

The trunk is frozen, so its maps of a scene never change; without them a step would spend most of
its time in the trunk. A corpus is a folder of memory-mapped arrays, filled in order, and an
interrupted build goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from lisa.data.scenes import WIDE, CutoutLibrary, Scene, compose_scene
from lisa.errors import DataError
from lisa.masks import decode_rle, encode_rle
from lisa.models import EncodedImage, LisaModel
from lisa.models.backbone import vision_tower_states
from lisa.processor import LisaProcessor
from lisa.types import ImageSize

_BATCH = 16
_INDEX = "scenes.jsonl"
_MAX_PIXELS = 1 << 20


@dataclass(frozen=True)
class CorpusScene:
    """One scene without its pixels.

    Attributes:
        seed: Of the scene.
        names: Of its objects, back to front.
        masks: bool (objects, H, W).
        image: What the model takes for the picture: the trunk's maps.
    """

    seed: int
    names: tuple[str, ...]
    masks: NDArray[np.bool_]
    image: EncodedImage


class Corpus:
    """Scenes and their maps in a folder; see :func:`build_corpus`."""

    def __init__(self, folder: Path) -> None:
        """Open a folder."""
        self.records = [json.loads(line) for line in (folder / _INDEX).read_text().splitlines()]
        self._maps = [np.load(path, mmap_mode="r") for path in sorted(folder.glob("map_*.npy"))]

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.records)

    def __getitem__(self, index: int) -> CorpusScene:
        """Read scene `index`."""
        record = self.records[index]
        size = ImageSize(*record["size"])
        states = tuple(torch.from_numpy(np.array(one[index])).float()[None] for one in self._maps)
        masks = np.stack([decode_rle(rle, _MAX_PIXELS) for rle in record["masks"]])
        return CorpusScene(
            record["seed"],
            tuple(record["names"]),
            masks,
            EncodedImage(size, size, vision_states=states),
        )


def build_corpus(
    folder: Path,
    model: LisaModel,
    processor: LisaProcessor,
    library: CutoutLibrary,
    seeds: range,
) -> Corpus:
    """Compose the scenes of `seeds` and compute their maps, as far as that is not done yet.

    Raises:
        DataError: If the folder holds other scenes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index = folder / _INDEX
    done = _done(index, seeds)
    with index.open("a") as file:
        progress = tqdm(total=len(seeds), initial=done, desc="scenes", unit="scene")
        for begin in range(done, len(seeds), _BATCH):
            scenes = [
                compose_scene(library, seed, variation=WIDE)
                for seed in seeds[begin : begin + _BATCH]
            ]
            frames = torch.stack([processor.transform(scene.image)[0] for scene in scenes])
            with torch.no_grad():
                states = vision_tower_states(model.backbone, frames)
            for place, one in enumerate(states):
                path = folder / f"map_{place}.npy"
                _array(path, (len(seeds), *one.shape[1:]))[begin : begin + len(scenes)] = _half(one)
            file.writelines(_record(scene) for scene in scenes)
            file.flush()
            progress.update(len(scenes))
        progress.close()
    return Corpus(folder)


def _done(index: Path, seeds: range) -> int:
    """Count the scenes that are there, after dropping a line that was cut while it was written."""
    lines = index.read_text().splitlines(keepends=True) if index.exists() else []
    if lines and not lines[-1].endswith("\n"):
        index.write_text("".join(lines := lines[:-1]))
    found = [json.loads(line)["seed"] for line in lines]
    first = index.with_name("map_0.npy")
    room = len(np.load(first, mmap_mode="r")) if first.exists() else len(seeds)
    if found != list(seeds[: len(found)]) or room != len(seeds):
        raise DataError(
            f"{index.parent} holds other scenes than the recipe asks for ({room} from seed "
            f"{found[0] if found else seeds.start}, not {len(seeds)} from {seeds.start}): choose "
            "another folder with --work or delete it."
        )
    return len(found)


def _array(path: Path, shape: tuple[int, ...]) -> NDArray[np.float16]:
    mode = "r+" if path.exists() else "w+"
    return np.lib.format.open_memmap(path, mode=mode, dtype=np.float16, shape=shape)


def _half(states: Tensor) -> NDArray[np.float16]:
    return states.numpy().astype(np.float16)


def _record(scene: Scene) -> str:
    masks = [encode_rle(one.mask) for one in scene.objects]
    size = (scene.image.height, scene.image.width)
    return (
        json.dumps({"seed": scene.seed, "names": scene.names, "size": size, "masks": masks}) + "\n"
    )


def batches(count: int, size: int, steps: int, seed: int) -> Iterator[list[int]]:
    """Yield `steps` lists of `size` scene indices; each epoch is a permutation of all scenes."""
    order: list[int] = []
    epoch = 0
    for _ in range(steps):
        while len(order) < size:
            order += np.random.default_rng((seed, epoch)).permutation(count).tolist()
            epoch += 1
        yield order[:size]
        order = order[size:]
