"""What all data sets in the format of the `refer` toolkit share: refs grouped by picture.

A ref names one region of one picture in a few sentences; `instances.json`, in COCO's format, has
the pictures and the regions.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lisa.data.mask_sources import MaskSource
from lisa.data.readers.coco_index import CocoAnnotation, CocoImage, CocoIndex, read_coco
from lisa.data.readers.contract import Reader, Task, require_files
from lisa.data.readers.paths import read_json, safe_join
from lisa.data.readers.plain_pickle import read_plain_pickle
from lisa.data.records import Expression, Record, Target
from lisa.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class Ref:
    """One entry of a refs file.

    Attributes:
        name: Where it stands, for messages: file and `ref_id`.
        image_id: Of its picture, which is in the index.
        fields: The entry as it is written.
    """

    name: str
    image_id: int
    fields: Mapping[str, Any]


class RefsReader(Reader):
    """A record is a picture with all its refs of the split; a target is one ref.

    A subclass says in its constructor where the files lie (`_read`), and how a ref becomes a mask.
    """

    task: ClassVar[Task] = "referring"

    _split: str
    _index: CocoIndex
    _pictures: list[tuple[CocoImage, list[Ref]]]

    def _read(self, refs_file: Path, instances_file: Path, split: str, picked: str) -> None:
        """Read the index.

        Args:
            refs_file: Pickle or JSON.
            instances_file: In COCO's format.
            split: As it stands in the keys of the records.
            picked: The split as the refs file names it; see `is_in_split`.
        """
        require_files(type(self).__name__, refs_file, instances_file)
        self._split = split
        self._index = read_coco(instances_file)
        refs: dict[int, list[Ref]] = {}
        for ref in _read_refs(refs_file, self._index, picked):
            refs.setdefault(ref.image_id, []).append(ref)
        if not refs:
            raise DataError(
                f"{str(refs_file)!r} has no refs of the split {picked!r}: choose another split, or "
                "get the released file again."
            )
        self._pictures = [(self._index.images[key], group) for key, group in refs.items()]

    def __len__(self) -> int:
        """Return the number of pictures that have refs in the split."""
        return len(self._pictures)

    def __getitem__(self, index: int) -> Record:
        """Read a picture's refs; see `Reader`."""
        image, refs = self._pictures[index]
        try:
            path = safe_join(self._folder_of(image), image.file_name)
        except DataError as error:
            raise DataError(f"{str(self._index.path)!r}, image {image.id}: {error}") from error
        return Record(
            key=f"{self._split}/{image.id}",
            image=path,
            size=image.size,
            targets=tuple(Target(expressions_of(ref), self._mask_of(ref, image)) for ref in refs),
        )

    @abstractmethod
    def _folder_of(self, image: CocoImage) -> Path:
        """Return the folder that the picture's `file_name` is relative to."""

    @abstractmethod
    def _mask_of(self, ref: Ref, image: CocoImage) -> MaskSource:
        """Return the region of a ref.

        Raises:
            DataError: If the ref names no region or one that is not there.
        """

    def _annotations_of(self, ref: Ref, ids: list[Any]) -> list[CocoAnnotation]:
        """Return the regions that a ref names, which must be of its picture."""
        found = []
        for one in ids:
            annotation = self._index.annotations.get(one) if isinstance(one, int) else None
            if annotation is None:
                raise DataError(
                    f"{ref.name}: there is no annotation {one!r:.40} in "
                    f"{str(self._index.path)!r}: the two files are not of one release."
                )
            if annotation.image_id != ref.image_id:
                raise DataError(
                    f"{ref.name}: annotation {one} belongs to image {annotation.image_id}, but the "
                    f"ref to image {ref.image_id}: the two files are not of one release."
                )
            found.append(annotation)
        return found


def is_in_split(written: str, picked: str) -> bool:
    """Whether a ref whose `split` is `written` belongs to the split `picked`.

    As in the toolkit: `testA` takes all whose split has an A (`testAC`, say), `test` all tests.
    """
    if picked in ("testA", "testB", "testC"):
        return picked[-1] in written
    return "test" in written if picked == "test" else picked == written


def expressions_of(ref: Ref) -> tuple[Expression, ...]:
    """Return the sentences of a ref: `sent`, or the `raw` one where cleaning has left nothing.

    Raises:
        DataError: If there are none, or one has no words.
    """
    sentences = ref.fields.get("sentences")
    if not isinstance(sentences, list | tuple) or not sentences:
        raise DataError(f"{ref.name}: it needs a list of 'sentences', not {sentences!r:.80}.")
    return tuple(Expression(_words(sentence, ref)) for sentence in sentences)


def ids_of(ref: Ref) -> list[Any]:
    """Return `ann_id` as a list, whether it is written as one or as a single number."""
    ids = ref.fields.get("ann_id")
    if ids is None:
        raise DataError(f"{ref.name}: 'ann_id' is missing.")
    return list(ids) if isinstance(ids, list | tuple) else [ids]


def _words(sentence: Any, ref: Ref) -> str:
    written = sentence if isinstance(sentence, Mapping) else {}
    for key in ("sent", "raw"):
        text = written.get(key)
        if isinstance(text, str) and text.strip():
            return text.strip()
    raise DataError(f"{ref.name}: a sentence needs words in 'sent', not {sentence!r:.80}.")


def _read_refs(path: Path, index: CocoIndex, picked: str) -> list[Ref]:
    entries = read_json(path) if path.suffix == ".json" else read_plain_pickle(path)
    if not isinstance(entries, list):
        raise DataError(f"{str(path)!r} must be a list of refs, not {type(entries).__name__}.")
    refs = []
    for position, entry in enumerate(entries):
        known = isinstance(entry, dict) and "ref_id" in entry
        name = f"{str(path)!r}, " + (
            f"ref {entry['ref_id']!r:.40}" if known else f"ref number {position + 1}"
        )
        if not isinstance(entry, dict) or not isinstance(entry.get("split"), str):
            raise DataError(f"{name}: it must be an object with a 'split', not {entry!r:.80}.")
        if not is_in_split(entry["split"], picked):
            continue
        image_id = entry.get("image_id")
        if not isinstance(image_id, int) or image_id not in index.images:
            raise DataError(
                f"{name}: there is no image {image_id!r:.40} in {str(index.path)!r}: the two files "
                "are not of one release."
            )
        refs.append(Ref(name, image_id, entry))
    return refs
