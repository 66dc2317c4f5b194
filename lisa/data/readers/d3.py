"""D3, the description detection set, with the groups of GRD: sentences asked of many pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lisa.data.mask_sources import CocoSegmentation, MaskSource, NoMask
from lisa.data.readers.coco_index import AnnotationMask, CocoAnnotation
from lisa.data.readers.contract import Reader, register_reader, require_files
from lisa.data.readers.paths import safe_join
from lisa.data.readers.plain_pickle import read_plain_pickle
from lisa.data.records import Expression, Record, Target
from lisa.errors import DataError
from lisa.types import ImageSize


@dataclass(frozen=True)
class _Table:
    """One of the four pickles: records by their id."""

    path: Path
    records: dict[int, dict[str, Any]]

    def name(self, key: Any) -> str:
        return f"{str(self.path)!r}, {self.path.stem.removesuffix('s')} {key!r:.40}"

    def get(self, key: Any, asked_by: str) -> dict[str, Any]:
        record = self.records.get(key) if isinstance(key, int) else None
        if record is None:
            raise DataError(
                f"{asked_by}: there is no {key!r:.40} in {str(self.path)!r}: the pickles are not "
                "of one release."
            )
        return record

    def list_of(self, key: int, field: str) -> list[Any]:
        value = self.records[key].get(field)
        if not isinstance(value, list | tuple):
            raise DataError(f"{self.name(key)}: {field!r} must be a list, not {value!r:.80}.")
        return list(value)


@dataclass(frozen=True)
class AskedSentence:
    """A sentence that is asked of a picture.

    Attributes:
        group: Number of the picture's group; its pictures are all asked the sentence.
        sentence: Number of the sentence.
        is_absence: Whether it speaks of something absent.
    """

    group: int
    sentence: int
    is_absence: bool


@register_reader("d3")
class D3(Reader):
    """Reads the four pickles; a record is a picture, its targets are the sentences asked of it.

    `root` is the folder with what the three archives unpack into (the third, `d3_json`, is for
    detection and not read):

        d3_images/...    d3_pkl/{images,annotations,sentences,groups}.pkl

    Each pickle is an object of records by number. One of each:

        images       5: {"id": 5, "file_name": "dog/0005.jpg", "height": 480, "width": 640,
                         "anno_id": [31, 32], "group_id": 2, "flickr_url": ..., "license": ...}
        annotations 31: {"id": 31, "image_id": 5, "group_id": 2, "sent_id": [8], "iscrowd": 0,
                         "segmentation": [{"size": [480, 640], "counts": b"..."}],
                         "bbox": array([[x, y, w, h]]), "area": array([912])}
        sentences    8: {"id": 8, "raw_sent": "a dog not led by rope", "raw_sent_zh": ...,
                         "is_negative": True, "anno_id": [31], "group_id": [2]}
        groups       2: {"id": 2, "inner_sent_id": [7, 8], "img_id": [5, 6], "pos_sent_id": ...,
                         "outer_sent_id": ..., "scene": ..., "group_name": ..., ...}

    The record of picture 5 in the split `intra`:

        Record(key="intra/5", image=.../d3_images/dog/0005.jpg, size=(480, 640),
               targets=(Target((Expression("a dog"),), NoMask(...)),
                        Target((Expression("a dog not led by rope"),), mask)))

    The mask is the union of the picture's annotations of the sentence, `NoMask` where it has none.
    `intra`, the usual setting, asks the sentences of the picture's own group; `inter` asks all 422.
    The sentences that speak of something absent (`is_negative`) may have regions like any other;
    `intra/presence` and `intra/absence` keep one sort (the published PRES and ABS), and so for
    `inter`. A picture of which nothing is asked then is left out. There is no training split.

    `bbox` and `area` are numpy's in the release (its toolkit reads them so) and not needed here.
    Taken from the toolkit's documentation and code, not from the files, which were not at hand.
    """

    task = "referring"
    splits = tuple(
        f"{setting}{sort}"
        for setting in ("intra", "inter")
        for sort in ("", "/presence", "/absence")
    )
    default_split = "intra"

    def __init__(self, root: Path, split: str | None = None) -> None:
        """Open one setting; see `Reader`."""
        self._split = self.chosen_split(split)
        self._setting, _, self._sort = self._split.partition("/")
        self._pictures = root / "d3_images"
        names = ("images", "annotations", "sentences", "groups")
        paths = [root / "d3_pkl" / f"{name}.pkl" for name in names]
        require_files(type(self).__name__, self._pictures, *paths)
        self._images, self._annotations, self._sentences, self._groups = map(_read_table, paths)
        # A dictionary for its order and its quick look-up.
        self._asked = {
            sentence: None
            for sentence, record in self._sentences.records.items()
            if not self._sort or bool(record.get("is_negative")) == (self._sort == "absence")
        }
        self._keys = [key for key in self._images.records if self._sentences_of(key)]

    def __len__(self) -> int:
        """Return the number of pictures of which something is asked."""
        return len(self._keys)

    def __getitem__(self, index: int) -> Record:
        """Read a picture's sentences; see `Reader`."""
        key = self._keys[index]
        image, name = self._images.records[key], self._images.name(key)
        try:
            path = safe_join(self._pictures, image.get("file_name", ""))
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        size = ImageSize(_side(image, "height", name), _side(image, "width", name))
        regions = self._regions_of(key)
        return Record(
            key=f"{self._split}/{key}",
            image=path,
            size=size,
            targets=tuple(
                Target((self._expression(sentence),), self._mask(regions.get(sentence), size))
                for sentence in self._sentences_of(key)
            ),
        )

    def asked(self, index: int) -> tuple[AskedSentence, ...]:
        """Return what each target of record `index` is, in their order."""
        key = self._keys[index]
        group = self._images.records[key].get("group_id")
        self._groups.get(group, self._images.name(key))
        assert isinstance(group, int)
        return tuple(
            AskedSentence(group, one, bool(self._sentences.records[one].get("is_negative")))
            for one in self._sentences_of(key)
        )

    def _sentences_of(self, image_key: int) -> list[int]:
        if self._setting == "inter":
            return list(self._asked)
        name = self._images.name(image_key)
        group = self._images.records[image_key].get("group_id")
        self._groups.get(group, name)
        assert isinstance(group, int)
        inner = self._groups.list_of(group, "inner_sent_id")
        for key in inner:
            self._sentences.get(key, self._groups.name(group))
        return [key for key in inner if key in self._asked]

    def _expression(self, sentence: int) -> Expression:
        text = self._sentences.records[sentence].get("raw_sent")
        if not isinstance(text, str) or not text.strip():
            raise DataError(
                f"{self._sentences.name(sentence)}: 'raw_sent' must have words, not {text!r:.80}."
            )
        return Expression(text.strip())

    def _regions_of(self, image_key: int) -> dict[int, list[CocoAnnotation]]:
        """Return the picture's annotations by sentence."""
        regions: dict[int, list[CocoAnnotation]] = {}
        name = self._images.name(image_key)
        for key in self._images.list_of(image_key, "anno_id"):
            record = self._annotations.get(key, name)
            where = self._annotations.name(key)
            if record.get("image_id") != image_key:
                raise DataError(
                    f"{where}: it belongs to image {record.get('image_id')!r:.40}, but image "
                    f"{image_key} lists it: the pickles are not of one release."
                )
            annotation = CocoAnnotation(key, image_key, 0, _segmentations(record, where))
            for sentence in self._annotations.list_of(key, "sent_id"):
                self._sentences.get(sentence, where)
                regions.setdefault(sentence, []).append(annotation)
        return regions

    def _mask(self, regions: list[CocoAnnotation] | None, size: ImageSize) -> MaskSource:
        if not regions:
            return NoMask(size)
        return AnnotationMask(self._annotations.path, tuple(regions), size)


def _read_table(path: Path) -> _Table:
    records = read_plain_pickle(path, arrays=True)
    if not isinstance(records, dict) or not records:
        raise DataError(f"{str(path)!r} must be an object of records by number, and not be empty.")
    table = _Table(path, records)
    for key, record in records.items():
        if not isinstance(key, int) or not isinstance(record, dict):
            raise DataError(f"{table.name(key)}: it must be an object under a whole number.")
    return table


def _segmentations(record: Mapping[str, Any], where: str) -> tuple[CocoSegmentation, ...]:
    value = record.get("segmentation")
    regions = value if isinstance(value, list) else [value]
    if not all(isinstance(region, Mapping) for region in regions):
        raise DataError(f"{where}: 'segmentation' must be run lengths, not {value!r:.80}.")
    return tuple(regions)


def _side(image: Mapping[str, Any], key: str, name: str) -> int:
    value = image.get(key)
    if not isinstance(value, int) or value < 1:
        raise DataError(f"{name}: {key!r} must be a whole number above zero, not {value!r:.80}.")
    return value
