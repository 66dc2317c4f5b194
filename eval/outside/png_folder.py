"""Masks as a folder of PNG files, one for each question.

A file is named after the question's key (`/` and other marks may be folders or `-`), or, where a
picture has one question, after the picture: its key, its file's stem or its COCO number. Foreground
is above 127, or 1 where there are only 0 and 1. A question without a file has no mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eval.outside.naming import picture_names, question_names
from eval.questions import BoolMask, Picture, Question
from eval.results import Answer, GivenSegment
from lisa.data.mask_sources import read_label_map
from lisa.errors import DataError
from lisa.types import ImageSize

_SUFFIX = ".png"


class PngFolder:
    """A folder of masks; see `eval.outside.contract.GivenMasks`."""

    def __init__(self, folder: Path) -> None:
        """List the files.

        Raises:
            DataError: If there are none.
        """
        self._files = {
            path.relative_to(folder).as_posix()[: -len(_SUFFIX)]: path
            for path in sorted(folder.rglob(f"*{_SUFFIX}"))
        }
        if not self._files:
            raise DataError(f"{str(folder)!r} has no {_SUFFIX} files: give a folder of masks.")
        self._owner: dict[str, str] = {}

    def find(self, picture: Picture, question: Question, size: ImageSize) -> Answer | None:
        """Return the answer to a question; see the contract."""
        names = list(question_names(question))
        if len(picture.questions) == 1:
            names += picture_names(picture)
        name = next((one for one in names if one in self._files), None)
        if name is None:
            return None
        path = self._files[name]
        owner = self._owner.setdefault(name, question.key)
        if owner != question.key:
            raise DataError(
                f"{str(path)!r} may answer {owner} or {question.key}: name files after the keys of "
                "questions."
            )
        return Answer((GivenSegment(_read(path, size)),), None, 1)

    def left_over(self) -> Sequence[str]:
        """Name the files that were found for no question."""
        return [str(path) for name, path in self._files.items() if name not in self._owner]


def _read(path: Path, size: ImageSize) -> BoolMask:
    values = read_label_map(path)
    if values.ndim == 3:
        if not (values == values[..., :1]).all():
            raise DataError(f"{str(path)!r} is coloured: a mask must be grey.")
        values = values[..., 0]
    if values.shape != size:
        raise DataError(
            f"{str(path)!r} has {values.shape[0]} x {values.shape[1]} pixels (height x width), the "
            f"picture {size.height} x {size.width}."
        )
    shown: BoolMask = values.astype(bool) if values.max() <= 1 else values > 127
    return shown
