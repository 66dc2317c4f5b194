"""ReasonSeg's copies in Parquet files, read through the library `datasets`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lisa.data.readers.contract import Reader, register_reader
from lisa.data.readers.hub_tables import load_table
from lisa.data.readers.keys import number_repeats
from lisa.data.readers.own_record import wording_of
from lisa.data.readers.picture_size import picture_size
from lisa.data.records import Expression, Record, Target
from lisa.errors import DataError
from lisa.types import ImageSize

COLUMNS = ("image", "text", "mask", "image_id", "ann_id", "img_height", "img_width")


@dataclass(frozen=True, eq=False)
class RowMask:
    """The mask of a row, read from the table when somebody asks.

    Attributes:
        rows: The column `mask`, a `datasets.Dataset` in Arrow's form.
        index: Of the row.
        size: Of the picture.
        place: The data set and the record.
    """

    rows: Any
    index: int
    size: ImageSize
    place: str

    def read(self) -> NDArray[np.bool_]:
        """Return the mask, `bool (H, W)`.

        Raises:
            DataError: If it is not of the picture's size or has gaps.
        """
        # As lists of Python objects a mask would take a hundred times the memory.
        lines = self.rows[self.index]["mask"].combine_chunks().flatten()
        pixels = lines.flatten()
        widths = {int(width) for width in np.diff(lines.offsets.to_numpy())}
        if len(lines) != self.size.height or widths != {self.size.width}:
            raise DataError(
                f"{self.place}: the mask has {len(lines)} lines of {sorted(widths)} pixels, but "
                f"the picture has {self.size.height} x {self.size.width} (height x width): the "
                "file is damaged."
            )
        if pixels.null_count:
            raise DataError(f"{self.place}: {pixels.null_count} pixels of the mask have no value.")
        mask: NDArray[np.bool_] = pixels.to_numpy(zero_copy_only=False).reshape(self.size)
        return mask


@register_reader("reason_seg_parquet")
class ReasonSegParquet(Reader):
    """ReasonSeg as `Ricky06662/ReasonSeg_val` and `..._test` have it on the hub, and sets like it.

    `root` is a folder of Parquet files as the hub has them (`data/test-00000-of-00002.parquet`), a
    folder that `datasets` saved, or an id on the hub, which is downloaded. Both copies call their
    only split "test"; it need not be named.

    One raw row:

        image       picture file as bytes              img_height  40
        text        "What keeps one dry?"               img_width   56
        mask        40 lists of 56 booleans             image_id    "7"
                                                        ann_id      "7"

    It becomes a record "test/7", named by `ann_id`, with one target and one expression: the copies
    keep only the first text of ReasonSeg. They also lack `is_sentence`, so the wording is guessed:
    "sentence" where the text ends with a full stop, a question mark or an exclamation mark. The
    pixels that ReasonSeg leaves out of scores are part of the mask: whoever made the copies took
    every drawn pixel. So scores on them differ from those on ReasonSeg.
    """

    task = "reasoning"

    def __init__(self, root: Path, split: str | None = None) -> None:
        self._name = str(root)
        table, self._split = load_table(root, split)
        missing = [name for name in COLUMNS if name not in table.column_names]
        if missing or not len(table):
            lack = f"no column {', '.join(missing)}" if missing else "no rows"
            raise DataError(
                f"{self._name!r} has {lack}: it must have rows with {', '.join(COLUMNS)}."
            )
        self._masks = table.select_columns("mask").with_format("arrow")
        self._rows = _undecoded(table.remove_columns("mask"))
        self._keys = number_repeats(str(name) for name in table["ann_id"])

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._keys)

    def __getitem__(self, index: int) -> Record:
        """Read a row without its mask."""
        index = range(len(self))[index]
        key = f"{self._split}/{self._keys[index]}" if self._split else self._keys[index]
        place = f"{self._name!r}, record {key!r}"
        row = self._rows[index]
        text = row["text"]
        try:
            if not isinstance(text, str) or not text.strip():
                raise DataError(f"'text' must be a question, not {text!r:.80}.")
            image = _content(row["image"])
            size = _checked_size(image, row["img_height"], row["img_width"])
        except DataError as error:
            raise DataError(f"{place}: {error}") from error
        expression = Expression(text.strip(), wording_of(text))
        mask = RowMask(self._masks, index, size, place)
        return Record(key, image, size, targets=(Target((expression,), mask),))


def _undecoded(table: Any) -> Any:
    from datasets import Image

    try:
        return table.cast_column("image", Image(decode=False))
    except (TypeError, ValueError, NotImplementedError) as error:  # Arrow's are of these
        raise DataError("the column 'image' must hold picture files.") from error


def _content(image: Any) -> bytes:
    content = image.get("bytes") if isinstance(image, dict) else None
    if not isinstance(content, bytes) or not content:
        raise DataError("the row has no picture: save the data set with the pictures' bytes.")
    return content


def _checked_size(image: bytes, height: Any, width: Any) -> ImageSize:
    size = picture_size(image)
    if (size.height, size.width) != (height, width):
        raise DataError(
            f"img_height and img_width are {height!r:.20} and {width!r:.20}, but the picture is "
            f"{size.height} x {size.width} (height x width) when held upright: the mask does not "
            "fit it."
        )
    return size
