"""Micro-batches of a mixture, prepared by worker processes.

Which positions of the stream a micro-batch holds follows from the step, the micro-batch and the
process alone. Together the processes take each position once, in order, whatever their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from torch.utils.data import DataLoader, Dataset, Sampler

from lisa.processor import LisaProcessor
from training.examples import Batch, Example, collate, encode_sample
from training.mixture import Mixture, SkippedRecord
from training.samples import Sample


@dataclass(frozen=True)
class Slots:
    """How the stream is divided.

    Attributes:
        batch: Pictures of a micro-batch.
        accumulation: Micro-batches of a step on each process.
        processes: How many share the stream.
        process: Which of them this is, from 0.
    """

    batch: int
    accumulation: int
    processes: int = 1
    process: int = 0

    @property
    def pictures(self) -> int:
        """Pictures of a step, over all processes."""
        return self.batch * self.accumulation * self.processes

    def positions(self, step: int, micro: int) -> list[int]:
        """Return the positions of one micro-batch of this process."""
        number = (step * self.accumulation + micro) * self.processes + self.process
        return list(range(number * self.batch, (number + 1) * self.batch))


@dataclass(frozen=True, eq=False)
class MicroBatch:
    """What a worker hands over.

    Attributes:
        batch: To learn from.
        skipped: Records that could not be used and were replaced.
    """

    batch: Batch
    skipped: tuple[SkippedRecord, ...]


class _Batches(Dataset[MicroBatch]):
    def __init__(self, mixture: Mixture, processor: LisaProcessor, max_length: int) -> None:
        self.mixture = mixture
        self.processor = processor
        self.max_length = max_length

    def __getitem__(self, positions: list[int]) -> MicroBatch:
        draws = [self.mixture.draw(position, self._encode) for position in positions]
        batch = collate([draw.item for draw in draws], self.processor)
        return MicroBatch(batch, tuple(one for draw in draws for one in draw.skipped))

    def _encode(self, sample: Sample) -> Example:
        return encode_sample(sample, self.processor, self.max_length)


class _Order(Sampler[list[int]]):
    def __init__(self, slots: Slots, first: int) -> None:
        self.slots = slots
        self.first = first

    def __iter__(self) -> Iterator[list[int]]:
        for step in count(self.first):
            for micro in range(self.slots.accumulation):
                yield self.slots.positions(step, micro)


def micro_batches(
    mixture: Mixture,
    processor: LisaProcessor,
    slots: Slots,
    *,
    first: int,
    max_length: int,
    workers: int,
) -> Iterator[MicroBatch]:
    """Yield micro-batches of this process without end.

    Args:
        mixture: What is learnt from.
        processor: Of the model that learns.
        slots: How the stream is divided.
        first: Step to begin with; what lies before is not read.
        max_length: Most positions of a conversation.
        workers: Processes that prepare them; 0 prepares them here.
    """
    loader: DataLoader[MicroBatch] = DataLoader(
        _Batches(mixture, processor, max_length),
        sampler=_Order(slots, first),
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_it_is,
    )
    return iter(loader)


def _as_it_is(batch: MicroBatch | Sequence[MicroBatch]) -> MicroBatch | Sequence[MicroBatch]:
    return batch
