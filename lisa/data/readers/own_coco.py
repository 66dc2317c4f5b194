"""A user's own data: a COCO instances JSON as annotation tools export it."""

from __future__ import annotations

from pathlib import Path

from lisa.data.faults import DamagedRecord
from lisa.data.readers.coco_index import CocoAnnotation, CocoImage, scan_coco
from lisa.data.readers.contract import Reader, register_reader, require_files
from lisa.data.readers.own_record import wording_of
from lisa.data.readers.paths import safe_join
from lisa.data.records import Expression, Record, Target
from lisa.errors import DataError


@register_reader("coco")
class CocoInstances(Reader):
    """Pictures with outlined objects, where the name of a category is the expression.

    One raw picture with its annotations, out of one JSON file:

        {"images": [{"id": 7, "file_name": "cup_1.jpg", "height": 40, "width": 56}],
         "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "iscrowd": 0,
                          "segmentation": [[12, 8, 30, 8, 30, 25, 12, 25]]},
                         {"id": 2, "image_id": 7, "category_id": 3, "iscrowd": 0,
                          "segmentation": [[40, 8, 50, 8, 50, 25, 40, 25]]}],
         "categories": [{"id": 3, "name": "cup"}]}

    and the Record it becomes:

        Record(key="7", image=<folder>/"cup_1.jpg", size=ImageSize(40, 56),
               targets=(Target((Expression("cup"),), <the union of both outlines>),))

    One target for every category that a picture has: the union of its annotations. What is marked
    `iscrowd` is left out of scores (`ignore`), and a category with nothing else is no target.
    Pictures without annotations are no records. An annotation needs an outline or run lengths; a
    box alone is no mask. A category whose name ends in a full stop, question mark or exclamation
    mark is a whole sentence.

    `root` is the JSON file, or a folder with no other JSON file in it. Its pictures lie in the
    first of these folders that has any of them: the one of the JSON file, `images` beside the JSON
    file, the one above the JSON file, `images` there, and there the folder that the JSON file is
    named after (`val2017` for `annotations/instances_val2017.json`).

    Annotations that point nowhere, or are damaged, count as records of their own, which raise.
    """

    task = "semantic"

    def __init__(self, root: Path, split: str | None = None) -> None:
        self.chosen_split(split)
        require_files("The COCO data set", root)
        self.path = _json_of(root)
        self._index, faults = scan_coco(self.path)
        self._images = [i for i in self._index.images.values() if self._index.annotations_of[i.id]]
        self._damaged = [fault.removeprefix(f"{str(self.path)!r}, ") for fault in faults]
        if not self._images and not faults:
            raise DataError(
                f"{str(self.path)!r} has no annotated pictures: there is nothing in it."
            )
        self.folder = _picture_folder(self.path, self._images)

    def __len__(self) -> int:
        return len(self._images) + len(self._damaged)

    def place(self, index: int) -> str:
        """Return the file and what is meant in it."""
        if index >= len(self._images):
            return f"{self.path}, {self._damaged[index - len(self._images)].partition(':')[0]}"
        image = self._images[index]
        return f"{self.path}, image {image.id} ({image.file_name})"

    def __getitem__(self, index: int) -> Record:
        place = self.place(index)
        if index >= len(self._images):
            problem = self._damaged[index - len(self._images)].partition(": ")[2]
            raise DamagedRecord(place, [problem])
        image = self._images[index]
        problems = list[str]()
        by_name: dict[str, list[CocoAnnotation]] = {}
        for annotation in self._index.annotations_of[image.id]:
            name = self._index.categories.get(annotation.category_id)
            if name is None:
                problems.append(
                    f"annotation {annotation.id} is of category {annotation.category_id}, which is "
                    "not in 'categories': add it."
                )
            elif not any(annotation.segmentations):
                problems.append(
                    f"annotation {annotation.id} has no outline: draw one, a box alone is no mask."
                )
            else:
                by_name.setdefault(name.strip(), []).append(annotation)
        targets = [self._target(name, regions) for name, regions in by_name.items()]
        try:
            path = safe_join(self.folder, image.file_name)
        except DataError as error:
            raise DamagedRecord(place, [*problems, str(error)]) from error
        sound = tuple(target for target in targets if target is not None)
        record = Record(str(image.id), path, image.size, sound)
        if problems:
            raise DamagedRecord(place, problems, record)
        return record

    def _target(self, name: str, annotations: list[CocoAnnotation]) -> Target | None:
        things = [annotation for annotation in annotations if not annotation.is_crowd]
        crowds = [annotation for annotation in annotations if annotation.is_crowd]
        if not things:
            return None
        return Target(
            expressions=(Expression(name, wording_of(name)),),
            mask=self._index.mask_of(*things),
            ignore=self._index.mask_of(*crowds) if crowds else None,
        )


def _json_of(root: Path) -> Path:
    if not root.is_dir():
        return root
    files = sorted(root.glob("*.json"))
    if len(files) != 1:
        names = ", ".join(path.name for path in files[:3])
        raise DataError(
            f"{str(root)!r} has {len(files)} JSON files{f' ({names} ...)' if files else ''}: give "
            "the path of the COCO file itself."
        )
    return files[0]


def _picture_folder(path: Path, images: list[CocoImage]) -> Path:
    here, above = path.parent, path.parent.parent
    folders = [here, here / "images", above, above / "images"]
    if "_" in path.stem:
        folders.append(above / path.stem.partition("_")[2])
    for folder in folders:
        # A few missing pictures must not hide where the others lie.
        if any(_is_in(folder, image.file_name) for image in images[:1000]):
            return folder
    if not images:
        return here
    raise DataError(
        f"none of the pictures of {str(path)!r}, such as {images[0].file_name!r}, is in "
        f"{', '.join(map(repr, map(str, folders)))}: put them into one of these folders."
    )


def _is_in(folder: Path, name: str) -> bool:
    try:
        return safe_join(folder, name).is_file()
    except DataError:
        return False
