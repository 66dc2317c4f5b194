"""PACO-LVIS: objects and parts of objects in COCO's photographs."""

from __future__ import annotations

from pathlib import Path

from lisa.data.readers.contract import register_reader
from lisa.data.readers.parts import PartReader


@register_reader("paco_lvis")
class PacoLvis(PartReader):
    """PACO-LVIS; its root is LISA's folder `dataset`, which holds `vlpart/paco` and `coco`.

    On disk: `vlpart/paco/annotations/paco_lvis_v1_train.json` (`val` and `test` alike) in COCO's
    format, of which these keys are read, and the photographs under `coco/`. A whole object is a set
    of polygons, a part is packed run lengths (an observation on the release, either is read):

        images       {"id": 9, "file_name": "train2017/000000000009.jpg", "height": 480, ...}
        categories   {"id": 51, "name": "mouse_(computer_equipment)", "supercategory": "OBJECT"}
                     {"id": 90, "name": "trash_can:lid", "supercategory": "PART"}
        annotations  {"id": 1, "image_id": 9, "category_id": 51, "segmentation": [[...]], ...}
                     {"id": 2, "image_id": 9, "category_id": 90, "segmentation": {"size": ...}, ...}

    These become

        Record("train/9", image=coco/train2017/000000000009.jpg, size=(480, 640), targets=(
            Target((Expression("mouse"),), mask 1),
            Target((Expression("trash_can lid"), Expression("the lid of the trash_can")), mask 2)))

    A suffix "_(...)" is cut off; other underscores stay, as LISA was trained with them.
    """

    splits = ("train", "val", "test")

    def __init__(self, root: Path, split: str | None = None) -> None:
        chosen = self.chosen_split(split)
        annotations = root / "vlpart" / "paco" / "annotations" / f"paco_lvis_v1_{chosen}.json"
        self._open("PACO-LVIS", chosen, annotations, root / "coco")
