"""PASCAL-Part: parts of the objects of PASCAL VOC 2010."""

from __future__ import annotations

from pathlib import Path

from lisa.data.readers.contract import register_reader
from lisa.data.readers.parts import PartReader


@register_reader("pascal_part")
class PascalPart(PartReader):
    """PASCAL-Part as VLPart converts it; its root is the folder `pascal_part`.

    On disk: `train.json` (`val` alike) in COCO's format, of which these keys are read, and the
    photographs in `VOCdevkit/VOC2010/JPEGImages`:

        images       {"id": 2008000008, "file_name": "2008_000008.jpg", "height": 442, "width": 500}
        categories   {"id": 25, "name": "car:license plate", "abbr": "car:liplate"}
        annotations  {"id": 0, "image_id": 2008000008, "category_id": 25, "iscrowd": 0,
                      "segmentation": {"size": [442, 500], "counts": "..."}, ...}

    These become

        Record("train/2008000008", image=.../2008_000008.jpg, size=(442, 500), targets=(
            Target((Expression("car license plate"), Expression("the license plate of the car")),
                   mask 0),))
    """

    splits = ("train", "val")

    def __init__(self, root: Path, split: str | None = None) -> None:
        chosen = self.chosen_split(split)
        image_folder = root / "VOCdevkit" / "VOC2010" / "JPEGImages"
        self._open("PASCAL-Part", chosen, root / f"{chosen}.json", image_folder)
