"""Data sets of objects and their parts in COCO's format, and how a part is named."""

from __future__ import annotations

from pathlib import Path

from lisa.data.readers.coco_index import CocoImage, CocoIndex, read_coco
from lisa.data.readers.contract import Reader, require_files
from lisa.data.readers.paths import require_pictures, safe_join
from lisa.data.records import Expression, Record, Target
from lisa.errors import DataError


class PartReader(Reader):
    """Records with one target for every annotation of a picture, in the file's order.

    Pictures without any annotation are left out: there is nothing to ask about them.
    """

    task = "semantic"
    default_split = "train"

    def _open(self, data_set: str, split: str, annotations: Path, image_folder: Path) -> None:
        """Check the files and read the index.

        Args:
            data_set: Its name, for messages.
            split: Begins the keys.
            annotations: The COCO file.
            image_folder: What its file names are relative to.
        """
        require_files(data_set, annotations, image_folder)
        self._index = read_coco(annotations)
        self._expressions = _name_categories(self._index)
        for annotation in self._index.annotations.values():
            self._index.category_of(annotation)
        self._split = split
        self._pictures = [
            (picture, _locate(picture, self._index, image_folder))
            for key, picture in self._index.images.items()
            if self._index.annotations_of[key]
        ]
        require_pictures(data_set, (path for _, path in self._pictures))

    def __len__(self) -> int:
        """Return the number of pictures with annotations."""
        return len(self._pictures)

    def __getitem__(self, index: int) -> Record:
        """Build record `index` from the annotation file."""
        picture, path = self._pictures[index]
        targets = tuple(
            Target(self._expressions[annotation.category_id], self._index.mask_of(annotation))
            for annotation in self._index.annotations_of[picture.id]
        )
        return Record(f"{self._split}/{picture.id}", path, picture.size, targets)


def _locate(picture: CocoImage, index: CocoIndex, image_folder: Path) -> Path:
    try:
        return safe_join(image_folder, picture.file_name)
    except DataError as error:
        raise DataError(f"{str(index.path)!r}, image {picture.id}: {error}") from error


def _name_categories(index: CocoIndex) -> dict[int, tuple[Expression, ...]]:
    expressions = {}
    for key, name in index.categories.items():
        # "mouse_(computer_equipment):body" -> "mouse", "body"
        words = [piece.split("_(")[0].strip() for piece in name.strip().split(":")]
        if len(words) > 2 or not all(words):
            raise DataError(
                f"{str(index.path)!r}, category {key}: the name must be 'object' or 'object:part', "
                f"not {name!r:.80}."
            )
        expressions[key] = tuple(Expression(text) for text in _say(*words))
    return expressions


def _say(thing: str, part: str | None = None) -> tuple[str, ...]:
    """Return what means a thing, or a part of it in both of LISA's forms."""
    return (thing,) if part is None else (f"{thing} {part}", f"the {part} of the {thing}")
