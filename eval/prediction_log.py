"""The prediction file of a run: every answer, written as it is given, so that nothing is lost.

The first line is the header: a record of what the answers belong to. Each further line is one
answer, a `Result` as a record with its place `at` in the evaluation (number of the picture, number
of the question), or one picture that could not be asked about:

    {"at": [12, 0], "key": "...", "group": "...", ...}
    {"at": [13, -1], "damaged": {"place": "...", "message": "..."}}

A finished file has its lines in the order of the questions, whatever order they were asked in and
however many processes there were. Until then the first process writes the file itself and the
others write files of their own beside it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from eval.processes import ALONE, Processes
from eval.questions import Question
from eval.results import KeptMasks, Result
from lisa.data.faults import Fault
from lisa.errors import DataError
from lisa.masks import check_rle_size

Place = tuple[int, int]
"""Number of the picture and of its question; -1 for the picture as a whole."""

_WHOLE_PICTURE = -1


@dataclass(frozen=True)
class Predictions:
    """What a prediction file holds.

    Attributes:
        header: What the answers belong to.
        results: Answers in the order of the questions.
        damaged: Pictures that could not be asked about.
    """

    header: Mapping[str, Any]
    results: tuple[Result, ...]
    damaged: tuple[Fault, ...]


def read_predictions(path: Path) -> Predictions:
    """Read a prediction file; that of an interrupted run as far as it goes.

    Masks stay encoded, but no mask is accepted that claims to be larger than the limit of
    `lisa.masks.decode_rle` or than its picture.

    Raises:
        DataError: If it is missing or damaged; the sentence names the line.
    """
    header, lines = _read_parts(_parts_of(path), path)
    return _parse(path, header, lines.values())


class PredictionLog:
    """The prediction file of a run while it is written."""

    def __init__(
        self,
        path: Path | None,
        header: Mapping[str, Any],
        resume: bool = False,
        processes: Processes = ALONE,
    ) -> None:
        """Open the file; every process calls this.

        Args:
            path: The file, on a disk that all processes see; None keeps answers in memory only.
            header: What the answers belong to, JSON-ready; a file is only resumed with the same.
            resume: Go on with what any number of processes have written; otherwise the file is
                written anew.
            processes: That share the run.

        Raises:
            DataError: If the file to resume is missing, damaged or belongs to another run.
        """
        self.path = path
        # Tuples become lists, as in the file.
        self.header: dict[str, Any] = json.loads(json.dumps(header))
        self.processes = processes
        self._lines: dict[Place, bytes] = {}
        self._keys: dict[str, Place] = {}
        self._resumed_of: dict[int, dict[int, tuple[object, object]]] = {}
        self._file: BinaryIO | None = None
        if path is None:
            return
        if resume:
            self._lines = self._read(path)
            for place, line in self._lines.items():
                record = json.loads(line)
                self._keys[record.get("key", "")] = place
                asked = self._resumed_of.setdefault(place[0], {})
                asked[place[1]] = (record.get("key"), record.get("question"))
        # Nobody may write before all have read.
        processes.wait()
        if processes.is_main:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, self.header, self._lines)
            for part in _parts_of(path)[1:]:
                part.unlink()
        processes.wait()
        own = path if processes.is_main else _part(path, processes.index)
        self._file = own.open("ab")
        if not processes.is_main:
            self._write([_dumped(self.header)])

    def _read(self, path: Path) -> dict[Place, bytes]:
        parts = _parts_of(path)
        if not parts:
            raise DataError(f"{path} does not exist: leave out --resume to start anew.")
        found, lines = _read_parts(parts, path)
        _check_same_run(path, found, self.header)
        # Damage may have been mended since: it is found again, or not.
        return {place: line for place, line in lines.items() if place[1] != _WHOLE_PICTURE}

    def __enter__(self) -> PredictionLog:
        """Return the log."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self.close()

    def holds(self, key: str) -> bool:
        """Whether a question is answered."""
        return key in self._keys

    def check_asked(self, picture: int, questions: Sequence[Question]) -> None:
        """Check that what a resumed file answers about a picture is still what is asked.

        Raises:
            DataError: If the data have changed since.
        """
        for number, asked in self._resumed_of.get(picture, {}).items():
            question = questions[number] if number < len(questions) else None
            if question is None or asked != (question.key, question.described):
                raise DataError(
                    f"{self.path} answers {asked[0]!r} ({asked[1]}), which is not asked any more: "
                    "the data have changed; leave out --resume to start anew."
                )

    def check_count(self, pictures: int) -> None:
        """Check that a resumed file answers nothing about pictures behind the last one.

        Raises:
            DataError: If the data have changed since.
        """
        for picture in self._resumed_of:
            if picture >= pictures:
                self.check_asked(picture, ())

    def append(self, answers: Iterable[tuple[Place, Result]]) -> None:
        """Keep the answers of a batch and write them at once; those it holds are left out."""
        fresh = [(place, result) for place, result in answers if result.key not in self._keys]
        for place, result in fresh:
            self._keys[result.key] = place
            self._lines[place] = _dumped({"at": place, **result.to_record()})
        self._write([self._lines[place] for place, _ in fresh])

    def leave_out(self, picture: int, fault: Fault) -> None:
        """Note that a picture cannot be asked about."""
        place = (picture, _WHOLE_PICTURE)
        told = {"place": fault.place, "message": fault.message}
        self._lines[place] = _dumped({"at": place, "damaged": told})
        self._write([self._lines[place]])

    def finish(self) -> Predictions:
        """Put what all processes wrote into one file, in the order of the questions.

        Returns:
            Everything in the first process; in the others what they hold themselves.
        """
        self.close()
        self.processes.wait()
        lines = self._lines
        if self.path is not None and self.processes.is_main:
            parts = _parts_of(self.path)
            _, lines = _read_parts(parts, self.path)
            _write_whole(self.path, self.header, lines)
            for part in parts[1:]:
                part.unlink()
        self.processes.wait()
        return _parse(self.path, self.header, [lines[place] for place in sorted(lines)])

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, lines: Sequence[bytes]) -> None:
        # In one piece, so that an interruption leaves at most one line half written.
        if self._file is not None and lines:
            self._file.write(b"".join(line + b"\n" for line in lines))
            self._file.flush()


def _check_same_run(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Check that a file may be resumed.

    Args:
        path: The file.
        found: Its header.
        wanted: The header of the run that resumes.

    Raises:
        DataError: If the headers differ; the sentence names what differs.
    """
    names = [*wanted, *(name for name in found if name not in wanted)]
    different = [name for name in names if found.get(name) != wanted.get(name)]
    if different:
        listed = ", ".join(
            f"{name.replace('_', ' ')} ({_short(found.get(name))}, not {_short(wanted.get(name))})"
            for name in different
        )
        raise DataError(
            f"{path} was written with another {listed}: leave out --resume to start anew."
        )


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:36]}..."


def _part(path: Path, process: int) -> Path:
    return path.with_name(f"{path.stem}.rank-{process}{path.suffix}")


def _parts_of(path: Path) -> list[Path]:
    """Return the file and those of further processes beside it, as far as they exist."""
    others = path.parent.glob(f"{path.stem}.rank-*{path.suffix}")
    return [one for one in (path, *sorted(others)) if one.is_file()]


def _read_parts(parts: Sequence[Path], path: Path) -> tuple[dict[str, Any], dict[Place, bytes]]:
    """Read files of one run: their header, and all whole lines in the order of the questions."""
    if not parts:
        raise DataError(f"{path} does not exist: give the predictions.jsonl of a run.")
    headers: list[tuple[Path, dict[str, Any]]] = []
    lines: dict[Place, bytes] = {}
    for part in parts:
        data = part.read_bytes()
        # An interrupted run may have left half a line at the end.
        whole = data[: data.rfind(b"\n") + 1].splitlines()
        if not whole:
            continue
        headers.append((part, _read_header(part, whole[0])))
        for number, line in enumerate(whole[1:], 2):
            lines.setdefault(_place_of(part, number, line), line)
    if not headers:
        raise DataError(f"{path} has no header: it is no prediction file, or start anew.")
    for part, header in headers[1:]:
        _check_same_run(part, header, headers[0][1])
    return headers[0][1], {place: lines[place] for place in sorted(lines)}


def _read_header(path: Path, line: bytes) -> dict[str, Any]:
    header = _loaded(path, 1, line)
    if "at" in header:
        raise DataError(f"{path} has no header in its first line: it is no prediction file.")
    return header


def _place_of(path: Path, number: int, line: bytes) -> Place:
    place = _loaded(path, number, line).get("at")
    if not (isinstance(place, list) and len(place) == 2 and all(type(one) is int for one in place)):
        raise DataError(f"{path}:{number} has no place 'at' [picture, question]: it is damaged.")
    return place[0], place[1]


def _loaded(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}:{number} is no JSON ({error}): the file is damaged.") from error
    if not isinstance(record, dict):
        raise DataError(f"{path}:{number} is no JSON object: the file is damaged.")
    return record


def _dumped(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record).encode()


def _write_whole(path: Path, header: Mapping[str, Any], lines: Mapping[Place, bytes]) -> None:
    """Write a file beside it and move it there, so that there is always a whole one."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("wb") as file:
        file.writelines(line + b"\n" for line in (_dumped(header), *lines.values()))
    os.replace(fresh, path)


def _parse(path: Path | None, header: Mapping[str, Any], lines: Iterable[bytes]) -> Predictions:
    results, damaged = [], []
    for line in lines:
        record = json.loads(line)
        place = record.pop("at")
        try:
            if "damaged" in record:
                damaged.append(Fault(**record["damaged"]))
            else:
                results.append(Result.from_record(record))
                _check_masks(results[-1].masks)
        except (KeyError, TypeError, ValueError, AttributeError, DataError) as error:
            raise DataError(
                f"{path}: the answer at {place} is damaged ({error}): run the evaluation again, or "
                "leave the line out."
            ) from error
    return Predictions(header, tuple(results), tuple(damaged))


def _check_masks(masks: KeptMasks | None) -> None:
    """Refuse sizes that would ask for too much memory as soon as a mask is decoded."""
    if masks is None:
        return
    encoded = [*masks.regions, *(one.mask for one in masks.segments)]
    if masks.ignore is not None:
        encoded.append(masks.ignore)
    check_rle_size({"size": list(masks.size)})
    for one in encoded:
        if tuple(check_rle_size(one)) != tuple(masks.size):
            raise DataError(f"a mask has another size than its picture {tuple(masks.size)}")
