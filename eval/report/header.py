"""What stands in the first line of a prediction file: what its answers belong to.

A run may only be resumed with the same header, and two files are only compared if they were asked
the same in the same protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from lisa.errors import DataError

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Header:
    """What answers belong to.

    Attributes:
        benchmark: Name of what was asked.
        task: What an answer is; see `eval.benchmarks.contract.Task`.
        families: Scores beyond those that all masks have.
        source: Whose data they are and how they are asked.
        protocol: How answers are made: `generate` or `teacher-forced`.
        system: Who answered: a model's name or folder, a baseline, a file of another system.
        weights: Which weights these are: `commit ...` of a hub repository or `sha256 ...` of the
            files of a folder; None for what is no model of ours.
        wording: Words around names and sentences; None where they are not known.
        max_new_tokens: Most tokens of an answer; None where it is not known.
        limit: Most questions of a group; None for all.
        loading: Further options that the model was loaded with, such as its number type.
    """

    benchmark: str
    task: str
    families: tuple[str, ...]
    source: str
    protocol: str
    system: str
    weights: str | None = None
    wording: str | None = None
    max_new_tokens: int | None = None
    limit: int | None = None
    loading: Mapping[str, str] = field(default_factory=dict)

    def to_record(self) -> dict[str, Any]:
        """Return the header as a JSON-ready record."""
        record = asdict(self)
        return {"schema_version": SCHEMA_VERSION, **record, "families": list(self.families)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any], path: Path) -> Header:
        """Read what `to_record` wrote.

        Args:
            record: First line of a file.
            path: The file, for the message.

        Raises:
            DataError: If it is no header of ours, or of another version.
        """
        version = record.get("schema_version")
        if version != SCHEMA_VERSION:
            raise DataError(
                f"{path} has a header of version {version!r}, and this program reads version "
                f"{SCHEMA_VERSION}: give the predictions.jsonl of a run of `lisa eval`."
            )
        names = {one.name for one in fields(cls)}
        try:
            known = {name: value for name, value in record.items() if name in names}
            return cls(**{**known, "families": tuple(known["families"])})
        except (KeyError, TypeError) as error:
            raise DataError(f"{path} has a header of another form: {error}.") from error
