"""LISA++'s data sets: instances, chains of thought, conversations and captions over COCO 2017.

The authors released four files `data.json` without a description or a reader. The form given below
is what public programs that read the files agree on; where two of them differ, both forms are read.
It has not been compared with the files themselves.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lisa.data.mask_sources import CocoMask, CocoSegmentation
from lisa.data.readers.contract import register_reader
from lisa.data.readers.dialogue_list import DialogueList, ReadItem
from lisa.data.readers.lisa_plus_marks import plain, point
from lisa.data.readers.picture_size import picture_size
from lisa.errors import DataError
from lisa.tokens import SEG_TOKEN
from lisa.types import ImageSize, Role

_SPEAKER = re.compile(r"<(person|robot)>\s*:")
_ROLES: dict[str, Role] = {"person": "user", "robot": "assistant"}


@dataclass(frozen=True, eq=False)
class InstanceMask:
    """One instance; damage is told with its file and record.

    Attributes:
        segmentation: In one of COCO's forms.
        size: Of the picture.
        place: The file, the record and the instance.
    """

    segmentation: CocoSegmentation
    size: ImageSize
    place: str

    def read(self) -> NDArray[np.bool_]:
        """Return the mask, `bool (H, W)`.

        Raises:
            DataError: If the region is damaged.
        """
        try:
            return CocoMask((self.segmentation,), self.size).read()
        except DataError as error:
            raise DataError(f"{self.place}: {error}") from error


class LisaPlus(DialogueList):
    """What the four data sets share; none of them has splits.

    `root` is the folder `dataset` of LISA's layout, with the data sets under their names on the
    hub:

        lisa_plus/LISA_Plus_Instance_Seg/data.json      (and three more, see the classes)
        coco/train2017/*.jpg

    Records are named by their picture, "000000000009"; further ones of the same picture are
    "000000000009/1" and so on. Each has one dialogue with a segment for every control token.

    Attributes:
        image_key: Of the picture's file name in a raw record.
        regions_key: Of the object that maps instances to regions in a raw record.
    """

    title = "LISA++"
    items = "records"
    image_key: ClassVar[str]
    regions_key: ClassVar[str]

    def _name(self, item: Mapping[str, Any]) -> str | None:
        name = item.get(self.image_key)
        return Path(name).stem if isinstance(name, str) and name.strip() else None

    def _read_item(self, item: Mapping[str, Any], place: str) -> ReadItem:
        image = self._picture(_text(item, self.image_key))
        size = picture_size(image)
        regions = _read_regions(item.get(self.regions_key), self.regions_key)
        turns, instances = self._read(item, regions)
        segments = tuple(
            InstanceMask(regions[name], size, f"{place}, instance {name}") for name in instances
        )
        return ReadItem(image, turns, segments, size)

    @abstractmethod
    def _read(
        self, item: Mapping[str, Any], regions: Mapping[str, CocoSegmentation]
    ) -> tuple[list[tuple[Role, str]], tuple[str, ...]]:
        """Return the turns, and the instances that their control tokens point at."""


@register_reader("lisa_plus_instances")
class LisaPlusInstances(LisaPlus):
    """Questions whose answer is a set of instances (`LISA_Plus_Instance_Seg`, 58,500 records).

    One raw record (others of its keys are left unread):

        {"img_path": "000000000009.jpg", "English Question": "Which of them can be eaten raw?",
         "ID": ["1060", "1061"],
         "points": {"1060": {"label name": "broccoli", "points": [[[10, 12], [30, 12], [30, 40]]]},
                    "1061": {"label name": "orange", "points": [[[40, 12], [52, 12], [52, 22]]]}}}

    The numbers are those of COCO's annotations; the outlines make the masks. The answer becomes
    every name with its control token, in the order of `ID`, with commas between and a full stop.
    """

    file = "lisa_plus/LISA_Plus_Instance_Seg/data.json"
    image_key = "img_path"
    regions_key = "points"

    def _read(
        self, item: Mapping[str, Any], regions: Mapping[str, CocoSegmentation]
    ) -> tuple[list[tuple[Role, str]], tuple[str, ...]]:
        listed = item.get("ID")
        if not isinstance(listed, list) or not listed:
            raise DataError(f"'ID' must be a list of one or more instances, not {listed!r:.80}.")
        names = tuple(str(name) for name in listed)
        unknown = [name for name in names if name not in regions]
        if unknown:
            raise DataError(f"'points' has no instance {unknown[0]!r}, which 'ID' lists.")
        labels = [_text(item[self.regions_key][name], "label name") for name in names]
        answer = ", ".join(f"{label} {SEG_TOKEN}" for label in labels) + "."
        return [("user", _text(item, "English Question")), ("assistant", answer)], names


class _MarkedAnswer(LisaPlus):
    image_key = "image_path"
    regions_key = "info"

    def _read(
        self, item: Mapping[str, Any], regions: Mapping[str, CocoSegmentation]
    ) -> tuple[list[tuple[Role, str]], tuple[str, ...]]:
        answer, names = point(_text(item, "English Answer"), regions)
        return [("user", plain(_text(item, "English Question"))), ("assistant", answer)], names


@register_reader("lisa_plus_cot")
class LisaPlusCot(_MarkedAnswer):
    """Answers that reason before and while they point (`LISA_Plus_COT`).

    One raw record:

        {"image_path": "000000000009.jpg", "English Question": "What is the healthiest part?",
         "English Answer": "Vegetables are rich in fibre, so it is the broccoli《1060|broccoli》.",
         "info": {"1060": {"polygon": [[[10, 12], [30, 12], [30, 40]]]}}}

    It becomes a question and an answer in which every mark is a control token; `lisa_plus_marks`
    says how. A region is an object with outlines under "polygon" or "points", the outlines alone,
    or COCO's run lengths.
    """

    file = "lisa_plus/LISA_Plus_COT/data.json"


@register_reader("lisa_plus_captions")
class LisaPlusCaptions(_MarkedAnswer):
    """Descriptions that point at what they name (`LISA_Plus_Caption`); records as `LisaPlusCot`."""

    file = "lisa_plus/LISA_Plus_Caption/data.json"


@register_reader("lisa_plus_conversations")
class LisaPlusConversations(LisaPlus):
    r"""Conversations of several turns that point (`LISA_Plus_Conversations`, 2,650 records).

    One raw record:

        {"img_pth": "000000000009.jpg",
         "output": "<person>: What is on the plate?\n<robot>: Broccoli <1060|broccoli>.",
         "info": {"1060": {"polygon": [[[10, 12], [30, 12], [30, 40]]]}}}

    It becomes as many turns as there are speakers' names; two of the same speaker in a row are one.
    Words before the first name are left out. Marks of answers become control tokens, marks of
    questions the names that they carry.
    """

    file = "lisa_plus/LISA_Plus_Conversations/data.json"
    image_key = "img_pth"
    regions_key = "info"

    def _read(
        self, item: Mapping[str, Any], regions: Mapping[str, CocoSegmentation]
    ) -> tuple[list[tuple[Role, str]], tuple[str, ...]]:
        pieces = _SPEAKER.split(_text(item, "output"))
        turns: list[tuple[Role, str]] = []
        instances: list[str] = []
        for speaker, words in zip(pieces[1::2], pieces[2::2], strict=True):
            role, said = _ROLES[speaker], words.strip()
            if turns and turns[-1][0] == role:
                said = f"{turns.pop()[1]}\n{said}"
            turns.append((role, said))
        # What the assistant says before the first question is left out with what it points at.
        while turns and turns[0][0] == "assistant":
            turns.pop(0)
        for index, (role, said) in enumerate(turns):
            if role == "user":
                turns[index] = (role, plain(said))
            else:
                text, pointed = point(said, regions)
                turns[index] = (role, text)
                instances += pointed
        return turns, tuple(instances)


def _text(item: Any, key: str) -> str:
    value = item.get(key) if isinstance(item, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{key!r} must be a text, not {value!r:.80}.")
    return value.strip()


def _read_regions(raw: Any, key: str) -> dict[str, CocoSegmentation]:
    if not isinstance(raw, dict):
        raise DataError(f"{key!r} must be an object of regions by instance, not {raw!r:.80}.")
    regions = {}
    for name, region in raw.items():
        try:
            regions[str(name)] = _read_region(region)
        except DataError as error:
            raise DataError(f"instance {name!r} of {key!r}: {error}") from error
    # An instance without any outline of three points has no region.
    return {name: region for name, region in regions.items() if region}


def _read_region(raw: Any) -> CocoSegmentation:
    if isinstance(raw, dict):
        if {"size", "counts"} <= raw.keys():
            return raw
        raw = raw.get("polygon", raw.get("points"))
    if isinstance(raw, list) and raw and all(_is_point(point) for point in raw):
        raw = [raw]
    if not isinstance(raw, list) or not all(isinstance(outline, list) for outline in raw):
        raise DataError(
            "a region must have outlines [[[x, y], ...], ...] under 'polygon' or 'points', or run "
            f"lengths, not {raw!r:.80}."
        )
    outlines = [_flatten(outline) for outline in raw]
    return [outline for outline in outlines if len(outline) >= 6]


def _flatten(outline: list[Any]) -> list[Any]:
    if all(_is_point(point) for point in outline):
        return [number for point in outline for number in point]
    return outline


def _is_point(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(number, int | float) for number in value)
    )
