"""A user's own data: a JSONL file, one picture a line."""

from __future__ import annotations

import codecs
import json
from array import array
from pathlib import Path
from typing import Any

from lisa.data.faults import DamagedRecord
from lisa.data.known_keys import suggest
from lisa.data.readers.contract import Reader, register_reader, require_files
from lisa.data.readers.own_record import build_record
from lisa.data.readers.paths import safe_join
from lisa.data.records import Record
from lisa.errors import ConfigError, DataError


@register_reader("jsonl")
class JsonLines(Reader):
    """Pictures with conversations and regions, written by hand or by a script.

    One raw line (here broken up; in the file it is one line):

        {"image": "pictures/1.jpg",
         "messages": [{"role": "user", "content": "What could I drink from?"},
                      {"role": "assistant", "content": "From the cup [SEG]."}],
         "segments": [{"polygon": [[12, 8, 30, 8, 30, 25, 12, 25]]}],
         "targets": [{"text": ["the cup", "the blue cup"], "segment": {"box": [12, 8, 30, 25]}},
                     {"text": "What is hot?", "segment": {"mask": "masks/1.png"},
                      "explanation": "Steam rises from it."},
                     {"text": "the dog", "segment": null}]}

    and the Record it becomes, if the picture is 40 pixels high and 56 wide:

        Record(key="line-1", image=<folder>/"pictures/1.jpg", size=ImageSize(40, 56),
               targets=(Target((Expression("the cup"), Expression("the blue cup")), BoxMask(...)),
                        Target((Expression("What is hot?", "sentence"),), OwnFileMask(...),
                               explanation="Steam rises from it."),
                        Target((Expression("the dog"),), NoMask(...))),
               dialogues=(Dialogue(<the two messages; the user's first shows the picture>,
                                   segments=(CocoMask(...),)),))

    A line needs `image` and one of the two forms, or both:

    * `messages`: a conversation as it shall be learnt; `segments` has one region for every `[SEG]`
      in the assistant's words, in reading order. Roles are user and assistant in turn, after an
      optional system. `content` is a text, or a list of `{"type": "text", "text": ...}` and
      `{"type": "image"}`, as chat templates take it; without the latter, the picture is shown
      before the user's first words.
    * `targets`: regions with the words that mean them; the training asks for them in its own
      sentences. `text` is one or more expressions of the same meaning, and `segment` is null if
      there is no such thing in the picture. `sentence` says whether the words are a whole sentence;
      without it, words that end in a full stop, question mark or exclamation mark are one.

    A region is a `polygon`, a `box`, an `rle` or a `mask` file (`own_segments.py`), or null for
    nothing, in pixels of the picture as it is shown upright. `id` (a text or number of its own)
    names the record in messages, else its line number does; `info` is for your own notes and is not
    read; any other key is an error. Paths are relative to the JSONL file and may not leave its
    folder.

    `root` is the file; or a folder with one file a split, such as `train.jsonl` and
    `validation.jsonl`, of which "train" is the default.

    The file is UTF-8. It is not read at once but line by line when a record is asked for; a damaged
    line stays a record, which raises.
    """

    task = "reasoning"

    def __init__(self, root: Path, split: str | None = None) -> None:
        require_files("The data set", root)
        self.path = _file_of(root, split)
        self.folder = self.path.parent
        # Where each record begins, and its line: lines may be millions, and some are long.
        self._offsets, self._lines = array("q"), array("q")
        self._find_lines()
        if not self._lines:
            raise DataError(f"{str(self.path)!r} has no records: write one picture a line.")

    def _find_lines(self) -> None:
        offset = 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.removeprefix(codecs.BOM_UTF8).strip():
                    self._offsets.append(offset)
                    self._lines.append(number)
                offset += len(line)

    def __len__(self) -> int:
        return len(self._lines)

    def place(self, index: int) -> str:
        """Return the file and the line of a record."""
        return f"{self.path}:{self._lines[index]}"

    def __getitem__(self, index: int) -> Record:
        place = self.place(index)
        raw = self._read_line(index, place)
        return build_record(raw, f"line-{self._lines[index]}", place, self._find_file)

    def _find_file(self, name: Any) -> Path:
        return safe_join(self.folder, name)

    def _read_line(self, index: int, place: str) -> Any:
        with self.path.open("rb") as file:
            file.seek(self._offsets[index])
            line = file.readline()
        try:
            return json.loads(
                line.removeprefix(codecs.BOM_UTF8).decode("utf-8"), object_pairs_hook=_once
            )
        except UnicodeDecodeError as error:
            raise DamagedRecord(
                place, ["the line is no UTF-8 text: save the file as UTF-8."]
            ) from (error)
        except json.JSONDecodeError as error:
            problem = f"the line is no JSON at column {error.colno} ({error.msg}): correct it."
            raise DamagedRecord(place, [problem]) from error
        except (ValueError, RecursionError) as error:
            raise DamagedRecord(place, [f"the line cannot be read: {error}."]) from error


def _file_of(root: Path, split: str | None) -> Path:
    if not root.is_dir():
        if split is not None:
            raise ConfigError(
                f"{str(root)!r} is one file and has no split {split!r}: leave the split out, or "
                "give the folder of the files."
            )
        return root
    known = jsonl_splits(root)
    wanted = "train" if split is None else split
    if wanted not in known:
        raise ConfigError(
            f"{str(root)!r} has no split {wanted!r} (a file {wanted}.jsonl): "
            + (f"{suggest(wanted, known)}." if known else "there is no *.jsonl in it.")
        )
    return root / f"{wanted}.jsonl"


def jsonl_splits(folder: Path) -> list[str]:
    """Return the splits of a folder with one JSONL file a split."""
    return sorted(path.stem for path in folder.glob("*.jsonl") if path.is_file())


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object of which no key may be written twice: JSON would keep the last in silence."""
    built: dict[str, Any] = {}
    for key, value in pairs:
        if key in built:
            raise ValueError(f"the key {key!r:.40} stands twice in one object")
        built[key] = value
    return built
