"""Data sets mixed by their weights, as an endless stream whose item `k` is a function of the seed.

The stream is cut into epochs of `length` items. In each, a data set has its share of the items, and
its records come in the order of random permutations, one after the other and across epochs, so that
none is seen twice before all are seen once; then the epoch is shuffled. LISA draws with replacement
instead, which leaves a third of a data set unseen in one pass and sees the rest several times.

Position, not history, decides what comes: any number of workers and processes can share the stream,
and a run resumes at item `k` without having read what was before.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from lisa.data.readers import Reader
from lisa.errors import ConfigError, LisaError
from training.samples import Sample, SampleSettings, draw_sample

Item = TypeVar("Item")

_ATTEMPTS = 8


@dataclass(frozen=True)
class WeightedReader:
    """A data set and its share of the mixture.

    Attributes:
        name: Shown in messages.
        reader: The data set.
        weight: Its share, relative to the others'; above 0.
    """

    name: str
    reader: Reader
    weight: float


@dataclass(frozen=True)
class SkippedRecord:
    """A record that could not be used.

    Attributes:
        place: Data set and number of the record.
        message: What is wrong with it.
    """

    place: str
    message: str


@dataclass(frozen=True, eq=False)
class Draw(Generic[Item]):
    """Item `k` of a stream.

    Attributes:
        item: What to learn from.
        skipped: Records that were drawn before it and could not be used.
    """

    item: Item
    skipped: tuple[SkippedRecord, ...]


class Mixture:
    """An endless stream of samples from several data sets."""

    def __init__(
        self,
        readers: Sequence[WeightedReader],
        settings: SampleSettings,
        seed: int,
        length: int | None = None,
    ) -> None:
        """Lay the stream out.

        Args:
            readers: One or more, none empty.
            settings: How samples are drawn.
            seed: Of the stream.
            length: Items of an epoch; left out, the number of all records.

        Raises:
            ConfigError: If there is nothing to draw from or a weight is not above 0.
        """
        empty = [one.name for one in readers if not len(one.reader)]
        if not readers or empty:
            raise ConfigError(
                f"There is nothing to learn from{' in ' + ', '.join(empty) if empty else ''}: name "
                "at least one data set, and none without records."
            )
        if any(not one.weight > 0 for one in readers):
            raise ConfigError("Every data set's weight must be above 0: leave the others out.")
        self.readers = tuple(readers)
        self.settings = settings
        self.seed = seed
        self.length = length or sum(len(one.reader) for one in readers)
        self._counts = _apportion(self.readers, self.length)
        self._laid_out: tuple[int, NDArray[np.int64]] | None = None

    def draw(self, position: int, use: Callable[[Sample], Item]) -> Draw[Item]:
        """Return item `position` of the stream; a damaged record is replaced and reported.

        Args:
            position: From 0; there is no end.
            use: Makes of a sample what is needed, and raises if the sample cannot be used.

        Raises:
            LisaError: If several records in a row are damaged.
        """
        epoch, place = divmod(position, self.length)
        number, record = map(int, self._order(epoch)[place])
        chosen = self.readers[number]
        rng = random.Random(f"{self.seed} {epoch} {place}")
        skipped: list[SkippedRecord] = []
        while True:
            try:
                read = chosen.reader[record]
                sample = draw_sample(read, chosen.reader.task, self.settings, rng)
                return Draw(use(sample), tuple(skipped))
            except LisaError as error:
                skipped.append(SkippedRecord(f"{chosen.name}, record {record}", str(error)))
                if len(skipped) == _ATTEMPTS:
                    raise
                record = rng.randrange(len(chosen.reader))

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if self._laid_out is None or self._laid_out[0] != epoch:
            self._laid_out = epoch, self._lay_out(epoch)
        return self._laid_out[1]

    def _lay_out(self, epoch: int) -> NDArray[np.int64]:
        """Return (length, 2): data set and record of every item of an epoch."""
        parts = []
        for number, (one, count) in enumerate(zip(self.readers, self._counts, strict=True)):
            records = self._records(number, len(one.reader), epoch * count, (epoch + 1) * count)
            parts.append(np.stack([np.full(count, number), records], axis=1))
        order = np.random.default_rng((self.seed, epoch)).permutation(self.length)
        items: NDArray[np.int64] = np.concatenate(parts)[order]
        return items

    def _records(self, number: int, size: int, begin: int, end: int) -> NDArray[np.int64]:
        """Return items `begin` to `end` of a data set's permutations, one behind the other."""
        first = begin // size
        orders = [
            np.random.default_rng((self.seed, number, turn)).permutation(size)
            for turn in range(first, -(-end // size))
        ]
        return np.concatenate(orders)[begin - first * size : end - first * size]


def _apportion(readers: Sequence[WeightedReader], length: int) -> list[int]:
    """Divide an epoch by the weights: whole numbers by the largest remainders."""
    total = sum(one.weight for one in readers)
    exact = [one.weight / total * length for one in readers]
    counts = [int(one) for one in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (counts[i] - exact[i], i))
    for i in by_remainder[: length - sum(counts)]:
        counts[i] += 1
    for one, count in zip(readers, counts, strict=True):
        if not count:
            raise ConfigError(
                f"{one.name} would give none of the {length} samples of an epoch: raise its weight "
                "or the samples of an epoch."
            )
    return counts
