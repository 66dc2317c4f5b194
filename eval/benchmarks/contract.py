"""What a benchmark is, and how the one that a name stands for is opened.

A name is a family and one of its parts, such as `reasonseg:val`; `reasonseg:*`, or the family's
name alone, stands for all parts that are usually reported. Anything else is the path of a data set
of one's own, as `lisa data check` takes it.

To add a family: write a file that calls `register_family`, import it in
`eval/benchmarks/__init__.py`, and add its fixture to the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from eval.questions import Picture
from eval.results import Result
from lisa.data.known_keys import suggest
from lisa.data.wordings import Wording
from lisa.errors import ConfigError

Task: TypeAlias = Literal["masks", "tags", "relations", "saliency"]
"""What an answer is. A LISA model is asked for masks; of the other three, files of predictions are
scored: tags of a picture, relations between its things, grey maps of what a group of pictures has
in common."""

MaskFamily: TypeAlias = Literal["gres", "ref_zom", "groups", "instances"]
"""Scores of masks that only some benchmarks have; all of them have IoU and pointing."""

MAX_NEW_TOKENS = 64
"""Most tokens of an answer: one that shows something has about a dozen, with an explanation some
more."""

ALL = "*"


@dataclass(frozen=True)
class Benchmark:
    """Pictures, what is asked about them, and how the answers are scored.

    Attributes:
        name: As the user writes it; also the group of its questions, but for `nano:*` and data sets
            of one's own.
        task: What an answer is.
        families: Scores beyond those that all masks have.
        pictures: With their questions; read when they are asked for. Reading one that is damaged
            raises a `LisaError`.
        max_new_tokens: Most tokens of an answer.
        source: Whose data they are and how they are asked, for the report.
        baselines: Answers that need no model, by name.
    """

    name: str
    task: Task
    families: tuple[MaskFamily, ...]
    pictures: Sequence[Picture]
    max_new_tokens: int
    source: str
    baselines: Mapping[str, Callable[[Sequence[Picture]], list[Result]]] = field(
        default_factory=dict
    )

    def require_masks(self) -> None:
        """Check that a LISA model can be asked.

        Raises:
            ConfigError: If the answers are no masks; the sentence says what to do.
        """
        if self.task == "masks":
            return
        needed = {
            "tags": "a tagging model",
            "relations": "a model of relations",
            "saliency": "a model of co-salient objects",
        }[self.task]
        raise ConfigError(
            f"{self.name} is answered by {needed}, and this is a model that gives masks: score a "
            f"file of predictions with `lisa eval score PREDICTIONS --benchmark {self.name}`."
        )


Opener: TypeAlias = Callable[[str, Path, Wording], Benchmark]
"""Opens one part of a family: the part, where the data lie (anywhere, where it needs none), how
names and sentences are asked."""


@dataclass(frozen=True)
class Family:
    """Benchmarks of one data set.

    Attributes:
        name: Stands before the colon.
        parts: All that may stand behind it; none if the name stands alone.
        usual: Those that are reported; `name:*` opens them.
        about: One line for the list of benchmarks.
        layout: What belongs into the folder of the data; empty if it needs none.
        open: Opens a part.
    """

    name: str
    parts: tuple[str, ...]
    usual: tuple[str, ...]
    about: str
    layout: str
    open: Opener

    @property
    def names(self) -> tuple[str, ...]:
        """Full names of its benchmarks."""
        return tuple(f"{self.name}:{part}" for part in self.parts) or (self.name,)


FAMILIES: dict[str, Family] = {}


def register_family(
    name: str,
    *,
    parts: Sequence[str],
    about: str,
    layout: str,
    open: Opener,
    usual: Sequence[str] | None = None,
) -> None:
    """Enter a family in `FAMILIES`; see `Family`, where `usual` is all parts if left out."""
    every = tuple(parts)
    chosen = every if usual is None else tuple(usual)
    FAMILIES[name] = Family(name, every, chosen, about, layout, open)


def known_benchmarks() -> tuple[str, ...]:
    """Return the names of all benchmarks, family by family."""
    return tuple(name for family in FAMILIES.values() for name in family.names)


def open_benchmark(name: str, data: Path | None, wording: Wording) -> tuple[Benchmark, ...]:
    """Open the benchmarks that a name stands for: files are checked and indexes read, no pictures.

    Args:
        name: Such as `reasonseg:val`, `refcoco:*` or `cups/validation.jsonl`.
        data: Folder of the data set as released, or LISA's folder `dataset` that holds several;
            None for benchmarks that need none.
        wording: How names and sentences are asked for.

    Raises:
        ConfigError: If there is no such benchmark, or it needs data and none are given.
        DataError: If a file is missing or damaged; the sentence says what belongs where.
    """
    from eval.benchmarks.own import is_own, open_own

    family_name, colon, part = name.partition(":")
    family = FAMILIES.get(family_name)
    if family is None:
        if is_own(name):
            return open_own(name, data, wording)
        raise ConfigError(
            f"There is no benchmark and no data set {name!r}: "
            f"{suggest(family_name, [*FAMILIES])}, or give the path of your own data."
        )
    if not family.parts and not colon:
        parts: tuple[str, ...] = ("",)
    elif part in ("", ALL):
        parts = family.usual
    elif part in family.parts:
        parts = (part,)
    else:
        ending = suggest(part, family.parts) if family.parts else "leave it out"
        raise ConfigError(f"{family_name} has no part {part!r}: {ending}.")
    if data is None and family.layout:
        raise ConfigError(
            f"{name} needs its data: give --data DIR, the folder with {family.layout}."
        )
    if data is not None and not family.layout:
        raise ConfigError(f"{name} lies in the repository and takes no --data: leave it out.")
    folder = Path() if data is None else data.expanduser()
    return tuple(family.open(one, folder, wording) for one in parts)


def takes_data(name: str) -> bool:
    """Whether a name needs `--data`: all but those in the repository and paths of one's own."""
    family = FAMILIES.get(name.partition(":")[0])
    return family is not None and bool(family.layout)
