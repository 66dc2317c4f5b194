"""Masks in the form of COCO's results: a JSON list of records.

    [{"image_id": 98304, "category_id": 7, "segmentation": {"size": [h, w], "counts": "..."},
      "score": 0.9, "question": "refcoco:val/..."}]

`question` is the key of a question and enough by itself. Without it a record is matched by
`image_id`, which is the picture's number, file name or key; where a picture has several questions,
`category_id` must say which (the number of the sentence in D3). The mask may be run lengths or
polygons. Several records of a question are masks of one answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.outside.naming import picture_names, question_names
from eval.questions import BoolMask, Picture, Question
from eval.results import Answer, GivenSegment
from lisa.errors import DataError
from lisa.masks import check_rle_size, decode_rle, polygons_to_mask
from lisa.types import ImageSize


class CocoResults:
    """A results file; see `eval.outside.contract.GivenMasks`."""

    def __init__(self, path: Path, threshold: float = 0.0) -> None:
        """Read the file; masks stay encoded.

        Args:
            path: JSON.
            threshold: Records with a lower score are left out.

        Raises:
            DataError: If it is no such file.
        """
        self._path = path
        self._by_question: dict[str, list[int]] = {}
        self._by_image: dict[str, list[int]] = {}
        self._owner: dict[int, str] = {}
        self._records = _read(path)
        self._kept = set()
        for number, record in enumerate(self._records):
            if self._score(number) < threshold:
                continue
            self._kept.add(number)
            question, image = record.get("question"), record.get("image_id")
            if question is not None:
                self._by_question.setdefault(str(question), []).append(number)
            elif image is not None:
                self._by_image.setdefault(str(image), []).append(number)
            else:
                raise DataError(f"{self._place(number)} needs an 'image_id' or a 'question'.")

    def find(self, picture: Picture, question: Question, size: ImageSize) -> Answer | None:
        """Return the answer to a question; see the contract."""
        numbers = [n for name in question_names(question) for n in self._by_question.get(name, ())]
        numbers = numbers or self._of_picture(picture, question)
        for number in numbers:
            owner = self._owner.setdefault(number, question.key)
            if owner != question.key:
                raise DataError(
                    f"{self._place(number)} may answer {owner} or {question.key}: give each record "
                    "its 'question', the key of what it answers."
                )
        if not numbers:
            return None
        segments = tuple(GivenSegment(self._mask(n, size), self._score(n)) for n in numbers)
        return Answer(segments, None, len(segments))

    def _of_picture(self, picture: Picture, question: Question) -> list[int]:
        numbers = [n for name in picture_names(picture) for n in self._by_image.get(name, ())]
        if len(picture.questions) < 2 or question.cohort is None:
            return numbers
        sentence = question.cohort.rpartition("/")[2]
        return [n for n in numbers if str(self._records[n].get("category_id")) == sentence]

    def left_over(self) -> Sequence[str]:
        """Name the records that were found for no question."""
        return [self._place(number) for number in sorted(self._kept - set(self._owner))]

    def _place(self, number: int) -> str:
        return f"record {number} of {self._path}"

    def _score(self, number: int) -> float:
        score = self._records[number].get("score", 1.0)
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise DataError(f"{self._place(number)} has the score {score!r:.40}, not a number.")
        if not math.isfinite(score):
            raise DataError(f"{self._place(number)} has the score {score}: it must be finite.")
        return float(score)

    def _mask(self, number: int, size: ImageSize) -> BoolMask:
        mask = self._records[number].get("segmentation")
        try:
            if isinstance(mask, Mapping):
                found = check_rle_size(mask)
                if found != size:
                    raise DataError(
                        f"its mask has {found.height} x {found.width} pixels (height x width), the "
                        f"picture {size.height} x {size.width}"
                    )
                return decode_rle(mask)
            if isinstance(mask, list):
                return polygons_to_mask(mask, size)
        except DataError as error:
            raise DataError(f"{self._place(number)}: {error}") from error
        raise DataError(f"{self._place(number)} needs a 'segmentation': run lengths or polygons.")


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        records = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{str(path)!r} cannot be read as JSON: {error}.") from error
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise DataError(
            f"{str(path)!r} must be a list of records with image_id, segmentation and score."
        )
    return records
