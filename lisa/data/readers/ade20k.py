"""ADE20K as the scene parsing challenge released it: 150 classes in label pictures."""

from __future__ import annotations

from pathlib import Path

from lisa.data.readers.contract import register_reader
from lisa.data.readers.label_maps import LabelMapReader, find_pictures, read_class_names

_FOLDERS = {"train": "training", "val": "validation"}


@register_reader("ade20k")
class Ade20k(LabelMapReader):
    """ADE20K; its root is the folder of the release (`ADEChallengeData2016`, LISA's `ade20k`).

    On disk, `training` and `validation` alike:

        images/training/ADE_train_00000001.jpg
        annotations/training/ADE_train_00000001.png      one channel: 0 void, 1 wall ... 150 flag

    A label picture with the numbers 0, 1 and 13 becomes

        Record("train/ADE_train_00000001", image=.../ADE_train_00000001.jpg, size=(H, W), targets=(
            Target((Expression("wall"),), where it is 1),
            Target((Expression("person"),), where it is 13)))

    The names are those that LISA asks for: the first of each class, except that class 90 is called
    "television receiver".
    """

    void = frozenset({0, 255})

    def __init__(self, root: Path, split: str | None = None) -> None:
        chosen = self.chosen_split(split)
        folder = _FOLDERS[chosen]
        self.pictures = find_pictures(
            "ADE20K", chosen, root / "images" / folder, root / "annotations" / folder
        )
        self.names = dict(enumerate(read_class_names("ade20k"), start=1))
