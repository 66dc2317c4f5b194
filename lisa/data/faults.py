"""What is wrong with a data set: one fault as data, and a record that has several of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lisa.data.records import Record
from lisa.errors import DataError


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a data set.

    Attributes:
        place: Where to look: a file, a file and a line ("cups.jsonl:12"), or a record's name.
        message: What we got, what we wanted, what to do; one sentence without the place.
    """

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class DamagedRecord(DataError):
    """A record that cannot be used, with everything that is wrong with it.

    As text it tells the first problem and how many more there are.

    Attributes:
        place: Where the record stands.
        problems: One sentence each, without the place.
        partial: What could be read, for a check that goes on to the picture and its masks; None if
            that was too little. Nothing may be learnt from it.
    """

    def __init__(self, place: str, problems: Sequence[str], partial: Record | None = None) -> None:
        self.place = place
        self.problems = tuple(problems)
        self.partial = partial
        more = f" ({len(problems) - 1} more here: see `lisa data check`.)" if problems[1:] else ""
        super().__init__(f"{place}: {problems[0]}{more}")

    def __reduce__(self) -> tuple[type[DamagedRecord], tuple[str, tuple[str, ...]]]:
        # Data loaders send errors between processes; the default would hand over one argument.
        return type(self), (self.place, self.problems)
