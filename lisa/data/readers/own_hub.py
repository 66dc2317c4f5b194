"""A user's own data: a `datasets` data set with the columns of the JSONL format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lisa.data.faults import DamagedRecord
from lisa.data.readers.contract import Reader, register_reader
from lisa.data.readers.hub_tables import load_table
from lisa.data.readers.own_record import RECORD_KEYS, build_record
from lisa.data.readers.paths import safe_join
from lisa.data.records import Record
from lisa.errors import DataError


@register_reader("datasets")
class OwnDataset(Reader):
    """Pictures with conversations and regions in a Hugging Face `datasets` data set.

    One raw row, of which `image` is a column of the type Image:

        {"image": {"bytes": b"...", "path": "1.jpg"},
         "messages": [{"role": "user", "content": "What could I drink from?"},
                      {"role": "assistant", "content": "From the cup [SEG]."}],
         "segments": [{"polygon": [[12, 8, 30, 8, 30, 25, 12, 25]], "box": None, "rle": None}],
         "targets": [{"text": "the dog", "segment": None}]}

    and the Record it becomes, if the picture is 40 pixels high and 56 wide:

        Record(key="train/0", image=b"...", size=ImageSize(40, 56),
               targets=(Target((Expression("the dog"),), NoMask(...)),),
               dialogues=(Dialogue(<the two messages>, segments=(CocoMask(...),)),))

    Columns mean what the keys of `own_jsonl.py` mean. Since a column gives every row the same keys,
    a key whose value is None counts as not written, a target without a segment is not in the
    picture, and other columns are left unread. Mask files need a data set that is a folder, as do
    pictures that are paths; both are relative to it.

    `root` is what `save_to_disk` wrote, a folder of Parquet (or other) files that `load_dataset`
    reads, or the name of a data set on the hub. Without a split, "train" is taken where the data
    set has splits. Rows lie in Arrow files on disk and pictures stay encoded.
    """

    task = "reasoning"

    def __init__(self, root: Path, split: str | None = None) -> None:
        self.root = root
        self._rows, self.split = load_table(root, split, default="train")
        columns = set(self._rows.column_names)
        if "image" not in columns or not columns & {"messages", "targets"}:
            raise DataError(
                f"{str(root)!r} has the columns {', '.join(sorted(columns)) or '(none)'}: it needs "
                "'image' and 'messages' or 'targets', as lisa/data/readers/own_jsonl.py says."
            )
        unread = sorted(columns - set(RECORD_KEYS))
        # The pictures must not be decoded, so the rows come as Arrow has them.
        self._rows = self._rows.remove_columns(unread).with_format("arrow")

    def __len__(self) -> int:
        return len(self._rows)

    def place(self, index: int) -> str:
        """Return the data set and the row, counted from 0 as `datasets` does."""
        split = f", split {self.split}" if self.split else ""
        return f"{self.root}{split}, row {range(len(self))[index]}"

    def __getitem__(self, index: int) -> Record:
        number = range(len(self))[index]
        place = self.place(number)
        try:
            row = self._rows[number].to_pylist()[0]
        except (OSError, ValueError) as error:
            raise DamagedRecord(place, [f"the row cannot be read: {error}."]) from error
        key = f"{self.split}/{number}" if self.split else str(number)
        return build_record(_written(row), key, place, self._find_file)

    def _find_file(self, value: Any) -> Path | bytes:
        if isinstance(value, bytes):
            return value
        path: Any = value.get("path") if isinstance(value, dict) else value
        if isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
            content: bytes = value["bytes"]
            return content
        if not self.root.is_dir():
            raise DataError(
                f"{path!r:.100} is not stored in the data set: save it with the pictures' bytes."
            )
        if isinstance(path, str) and Path(path).is_absolute():
            # `load_dataset` notes the whole path of pictures that lie in the folder.
            folder = self.root.resolve()
            if Path(path).is_relative_to(folder):
                path = Path(path).relative_to(folder).as_posix()
        return safe_join(self.root, path)


def _written(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without the keys that only the column's type gave it."""
    written = {key: value for key, value in row.items() if value not in (None, [])}
    for key in ("messages", "segments", "targets"):
        if isinstance(written.get(key), list):
            written[key] = [_without_nothing(entry) for entry in written[key]]
    for target in written.get("targets", ()):
        if isinstance(target, dict):
            target.setdefault("segment", None)
    return written


def _without_nothing(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nothing(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _without_nothing(entry) for key, entry in value.items() if entry is not None}
    # A region of which no kind is given is what a column makes of null.
    return kept or None
