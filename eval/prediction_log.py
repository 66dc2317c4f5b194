"""A file to which every answer is written as it is given, so that an interruption loses nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from lisa.errors import DataError


class PredictionLog:
    """Answers by system and question, in memory and, line by line, in a JSONL file.

    The first line says what was asked of which model; a run can only be resumed with the same.

    Args:
        path: The file; None keeps answers in memory only.
        header: What the answers belong to, JSON-ready.
        resume: Continue the file; otherwise it is written anew.

    Raises:
        DataError: The file to resume is missing or belongs to another run.
    """

    def __init__(self, path: Path | None, header: Mapping[str, Any], resume: bool = False) -> None:
        self._records: dict[tuple[str, str], dict[str, Any]] = {}
        self._file: TextIO | None = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if resume:
            self._read(path, header)
            self._file = path.open("a", encoding="utf-8")
        else:
            self._file = path.open("w", encoding="utf-8")
            self._write(header)

    def _read(self, path: Path, header: Mapping[str, Any]) -> None:
        if not path.is_file():
            raise DataError(f"{path} does not exist: leave out --resume to start anew.")
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        lines = data[:whole].decode("utf-8").splitlines()
        if not lines or json.loads(lines[0]) != header:
            raise DataError(
                f"{path} belongs to another model or other questions: leave out --resume to "
                "start anew."
            )
        for line in lines[1:]:
            record = json.loads(line)
            self._records[record["system"], record["key"]] = record["result"]
        # An interrupted run may have left half a line at the end.
        with path.open("r+b") as file:
            file.truncate(whole)

    def _write(self, record: Mapping[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()

    def find(self, system: str, key: str) -> dict[str, Any] | None:
        """Returns a kept answer, or None."""
        return self._records.get((system, key))

    def append(self, system: str, key: str, result: dict[str, Any]) -> None:
        """Keeps an answer and writes it to the file at once."""
        self._records[system, key] = result
        self._write({"system": system, "key": key, "result": result})

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
