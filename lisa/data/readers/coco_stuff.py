"""COCO-Stuff: things and stuff of COCO 2017 in label pictures ("stuffthingmaps")."""

from __future__ import annotations

from pathlib import Path

from lisa.data.readers.contract import register_reader
from lisa.data.readers.label_maps import LabelMapReader, find_pictures, read_class_names


@register_reader("coco_stuff", "cocostuff")
class CocoStuff(LabelMapReader):
    """COCO-Stuff; its root is LISA's folder `dataset`, which holds `cocostuff` and `coco`.

    On disk, `train2017` and `val2017` alike:

        cocostuff/train2017/000000000009.png     one channel: 0 person ... 181 wood, 255 void
        coco/train2017/000000000009.jpg

    A stored number is one less than the number in the release's `labels.txt`, which counts from
    "unlabeled". Classes that end in a qualifier ("wall-brick", "water-other"; 28 names with "-")
    are no names that people say: as in LISA, nobody asks for them. So the numbers 0, 170 and 255
    become

        Record("train/000000000009", image=coco/train2017/000000000009.jpg, size=(H, W), targets=(
            Target((Expression("person"),), where it is 0),))
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        chosen = self.chosen_split(split)
        folder = f"{chosen}2017"
        self.pictures = find_pictures(
            "COCO-Stuff", chosen, root / "coco" / folder, root / "cocostuff" / folder
        )
        every = dict(enumerate(read_class_names("coco_stuff")))
        self.names = {value: name for value, name in every.items() if "-" not in name}
        self.void = {255} | (every.keys() - self.names.keys())
