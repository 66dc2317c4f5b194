"""Data sets with a label picture for every photograph, which holds a number for every pixel."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lisa.data.mask_sources import ClassMask, read_label_map
from lisa.data.readers.contract import Reader, require_files
from lisa.data.readers.paths import require_pictures
from lisa.data.records import Expression, Record, Target
from lisa.errors import DataError
from lisa.types import ImageSize

_CLASS_NAMES = Path(__file__).with_name("class_names")


@dataclass(frozen=True)
class LabelledPicture:
    """A photograph and its label picture.

    Attributes:
        key: Of the record.
        image: The photograph.
        labels: The label picture.
    """

    key: str
    image: Path
    labels: Path


class LabelMapReader(Reader):
    """Records with one target for every class that a label picture holds, in order of its numbers.

    A picture that holds no class at all, only void, gives a record without targets.

    Attributes:
        names: Names by the number that is stored in the label pictures.
        void: Stored numbers that stand for no class that one may ask for.
        pictures: What the records are read from.
    """

    task = "semantic"
    splits = ("train", "val")
    default_split = "train"
    names: Mapping[int, str]
    void: Set[int]
    pictures: list[LabelledPicture]

    def __len__(self) -> int:
        """Return the number of label pictures."""
        return len(self.pictures)

    def __getitem__(self, index: int) -> Record:
        """Read record `index`, its label picture included."""
        picture = self.pictures[index]
        labels = read_label_map(picture.labels)
        if labels.ndim != 2:
            raise DataError(
                f"{str(picture.labels)!r} has {labels.shape[2]} channels, but a label picture has "
                "one number a pixel: take the file of the release, not a coloured view of it."
            )
        present = [int(value) for value in np.unique(labels) if int(value) not in self.void]
        unknown = [value for value in present if value not in self.names]
        if unknown:
            raise DataError(
                f"{str(picture.labels)!r} holds the label {unknown[0]}, for which "
                f"{type(self).__name__} has no class: the file is damaged or of another release."
            )
        # By number, not by name as the original looks them up: two classes of one name would share
        # the mask of the first.
        targets = tuple(
            Target((Expression(self.names[value]),), ClassMask(labels, value)) for value in present
        )
        return Record(picture.key, picture.image, ImageSize(*labels.shape), targets)


def find_pictures(
    data_set: str, split: str, image_folder: Path, label_folder: Path
) -> list[LabelledPicture]:
    """List the label pictures (PNG) of a folder with their photographs (JPEG), by name.

    Args:
        data_set: Its name, for messages.
        split: Begins the keys.
        image_folder: Holds `NAME.jpg` for every label picture.
        label_folder: Holds `NAME.png`.

    Raises:
        DataError: If a folder or a photograph is missing, or there is no label picture.
    """
    require_files(data_set, image_folder, label_folder)
    names = sorted(path.stem for path in label_folder.glob("*.png"))
    if not names:
        raise DataError(f"{data_set} is not complete: {str(label_folder)!r} holds no PNG file.")
    pictures = [
        LabelledPicture(
            f"{split}/{name}", image_folder / f"{name}.jpg", label_folder / f"{name}.png"
        )
        for name in names
    ]
    require_pictures(data_set, (picture.image for picture in pictures))
    return pictures


def read_class_names(data_set: str) -> list[str]:
    """Return the class names that come with the package, in the order of the data set's numbers.

    Args:
        data_set: Name of the list, such as `ade20k`.
    """
    return (_CLASS_NAMES / f"{data_set}.txt").read_text(encoding="utf-8").splitlines()
