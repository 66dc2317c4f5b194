"""PSG, panoptic scene graphs: segments of a picture, and relations between them.

It is no `Reader`: nothing in it is said in words, so a scene is no `Record`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lisa.data.mask_sources import read_label_map
from lisa.data.readers.contract import require_files
from lisa.data.readers.paths import read_json, safe_join
from lisa.errors import DataError
from lisa.types import ImageSize


class SceneRelation(NamedTuple):
    """A relation: positions of subject and object among the segments, number of the predicate."""

    subject: int
    object: int
    predicate: int


@dataclass(frozen=True, eq=False)
class Scene:
    """One picture with its graph.

    Attributes:
        key: Its `image_id`.
        image: The photograph.
        size: Of the photograph.
        segments: The label picture, whose numbers are in its colours.
        ids: Number of each segment in the label picture.
        classes: Class of each segment, from 0: things first, then stuff.
        relations: Without repetitions; a pair may have several predicates.
    """

    key: str
    image: Path
    size: ImageSize
    segments: Path
    ids: tuple[int, ...]
    classes: tuple[int, ...]
    relations: tuple[SceneRelation, ...]

    def masks(self) -> NDArray[np.bool_]:
        """Read the segments: `bool (segments, H, W)`.

        Raises:
            DataError: If the label picture is missing, damaged or of another size.
        """
        numbers = read_panoptic(self.segments, self.size)
        return np.array([numbers == one for one in self.ids], bool).reshape(-1, *self.size)


def read_panoptic(path: Path, size: ImageSize) -> NDArray[np.int64]:
    """Read a label picture of COCO's panoptic form: number = red + 256 green + 256^2 blue.

    Args:
        path: Of the PNG.
        size: That it must have.

    Returns:
        `(H, W)`; 0 is no segment.

    Raises:
        DataError: If it is missing, damaged, of another size, or has no three channels.
    """
    colours = read_label_map(path)
    if colours.shape != (*size, 3):
        raise DataError(
            f"{str(path)!r} must be an RGB picture of {size.height} x {size.width} pixels (height "
            f"x width), but it is {' x '.join(map(str, colours.shape))}."
        )
    numbers: NDArray[np.int64] = colours.astype(np.int64) @ np.array([1, 256, 256**2])
    return numbers


class Psg:
    """Reads `psg.json` and, when somebody asks, the label pictures of COCO.

    On disk, as OpenPSG has it; `file_name` and `pan_seg_file_name` are relative to the folder of
    COCO:

        psg/psg.json    coco/train2017/*.jpg    coco/panoptic_train2017/*.png    (val2017 likewise)

    `psg.json` is an object of `thing_classes` (80 names), `stuff_classes` (53), `predicate_classes`
    (56), `test_image_ids` and `data`, a list of pictures:

        {"file_name": "train2017/000000417720.jpg", "height": 427, "width": 640,
         "image_id": "107902", "coco_image_id": "417720",
         "pan_seg_file_name": "panoptic_train2017/000000417720.png",
         "segments_info": [{"id": 3648962, "category_id": 0, "iscrowd": 0, "isthing": 1,
                            "area": 5213}, ...],
         "annotations": [{"bbox": [x0, y0, x1, y1], "bbox_mode": 0, "category_id": 0}, ...],
         "relations": [[0, 1, 14], ...]}

    All numbers count from 0. Pictures without relations are left out of both splits, as by OpenPSG;
    `test` holds those of `test_image_ids` (2,177 of 2,186), `train` all others.

    Attributes:
        classes: Names of things, then of stuff.
        predicates: Names of predicates.
    """

    splits = ("test", "train")

    def __init__(self, annotations: Path, coco: Path, split: str) -> None:
        """Read the index, but no picture.

        Args:
            annotations: The file `psg.json`.
            coco: The folder of COCO's pictures and label pictures.
            split: One of `splits`.

        Raises:
            DataError: If a file is missing or damaged.
        """
        require_files("PSG", annotations, coco)
        self._path, self._coco = annotations, coco
        document = read_json(annotations)
        names = ("data", "thing_classes", "stuff_classes", "predicate_classes", "test_image_ids")
        for name in names:
            if not isinstance(document, dict) or not isinstance(document.get(name), list):
                raise DataError(f"{str(annotations)!r} must have the lists {', '.join(names)}.")
        self.classes = (*map(str, document["thing_classes"]), *map(str, document["stuff_classes"]))
        self.predicates = tuple(map(str, document["predicate_classes"]))
        tested = set(map(str, document["test_image_ids"]))
        self._scenes: list[Mapping[str, Any]] = []
        for number, entry in enumerate(document["data"]):
            if not isinstance(entry, dict) or "image_id" not in entry:
                raise DataError(f"{str(annotations)!r}, data {number}: it has no 'image_id'.")
            if entry.get("relations") and (str(entry["image_id"]) in tested) == (split == "test"):
                self._scenes.append(entry)
        if not self._scenes:
            raise DataError(f"{str(annotations)!r} has no picture with relations in {split!r}.")

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._scenes)

    def __getitem__(self, index: int) -> Scene:
        """Read the graph of a picture, without any pixels.

        Raises:
            DataError: If it is damaged.
            IndexError: If there is none.
        """
        entry = self._scenes[index]
        try:
            return self._scene(entry)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{self.place(index)}: it is of another form ({error!r}).") from error
        except DataError as error:
            raise DataError(f"{self.place(index)}: {error}") from error

    def place(self, index: int) -> str:
        """Return where picture `index` stands."""
        return f"{str(self._path)!r}, image_id {self._scenes[index]['image_id']!r:.40}"

    def _scene(self, entry: Mapping[str, Any]) -> Scene:
        segments = entry["segments_info"]
        classes = tuple(int(segment["category_id"]) for segment in segments)
        if not all(0 <= one < len(self.classes) for one in classes):
            raise DataError(f"a 'category_id' is not from 0 to {len(self.classes) - 1}.")
        relations = tuple(dict.fromkeys(SceneRelation(*map(int, r)) for r in entry["relations"]))
        for one in relations:
            sound = 0 <= min(one.subject, one.object) <= max(one.subject, one.object)
            if not sound or max(one.subject, one.object) >= len(segments):
                raise DataError(f"the relation {list(one)} names a segment that is not there.")
            if not 0 <= one.predicate < len(self.predicates):
                raise DataError(f"the relation {list(one)} names a predicate that is not there.")
        return Scene(
            key=str(entry["image_id"]),
            image=safe_join(self._coco, entry["file_name"]),
            size=ImageSize(int(entry["height"]), int(entry["width"])),
            segments=safe_join(self._coco, entry["pan_seg_file_name"]),
            ids=tuple(int(segment["id"]) for segment in segments),
            classes=classes,
            relations=relations,
        )
