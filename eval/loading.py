"""Pictures and right answers, read in the background while the model works.

An evaluation is cut into chunks of pictures that follow each other; each process takes chunks of
its own. A chunk is answered in one window, or in several where its pictures would not fit into the
memory that they may take. Neither depends on the number of processes, or on what has been answered
before: a question is always in the same batch, so that its answer is always the same.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eval.processes import Processes
from eval.questions import Picture, Truth
from lisa.data.check import HasPlaces
from lisa.data.faults import DamagedRecord, Fault
from lisa.errors import LisaError
from lisa.types import ImageSize

if TYPE_CHECKING:
    from PIL import Image

    from eval.prediction_log import PredictionLog
    from lisa.pipeline import LisaPipeline
    from lisa.processor import ImageInputs

_TOGETHER = 4
"""Pictures that are encoded in one pass: more of them are hardly faster and take memory."""


@dataclass(frozen=True, eq=False)
class LoadedPicture:
    """A picture that has been read.

    Attributes:
        index: Its number in the evaluation.
        picture: With its questions.
        size: In pixels.
        truths: Right answers of the questions that are open, by key.
    """

    index: int
    picture: Picture
    size: ImageSize
    truths: Mapping[str, Truth]


@dataclass(frozen=True, eq=False)
class Window:
    """Pictures that are asked about together.

    Attributes:
        pictures: Those with questions that could be read.
        prepared: Their pixels for the encoders, `together` pictures each but for the last.
        together: How many.
        damaged: Pictures that could not be read, by number.
        settled: Pictures of the evaluation that are done when this window is.
    """

    pictures: tuple[LoadedPicture, ...]
    prepared: tuple[ImageInputs, ...]
    together: int
    damaged: Mapping[int, Fault]
    settled: int


@dataclass(frozen=True, eq=False)
class Loader:
    """Reads the pictures of one process.

    Attributes:
        pipeline: Its processor prepares the pixels.
        pictures: Of the whole evaluation.
        log: Knows what is answered.
        chunk: Pictures of a chunk.
        most_bytes: Memory that the pictures of a window may take; a single one may take more.
    """

    pipeline: LisaPipeline
    pictures: Sequence[Picture]
    log: PredictionLog
    chunk: int
    most_bytes: int

    def chunks(self, processes: Processes) -> list[range]:
        """Return the chunks of this process."""
        starts = range(0, len(self.pictures), self.chunk)
        return [
            range(start, min(start + self.chunk, len(self.pictures)))
            for start in starts[processes.index :: processes.count]
        ]

    def windows(self, chunks: Sequence[range]) -> Iterator[Window]:
        """Yield the windows of the chunks."""
        for chunk in chunks:
            yield from self._windows(chunk)

    def _windows(self, chunk: range) -> Iterator[Window]:
        damaged: dict[int, Fault] = {}
        found: dict[int, Picture] = {}
        for index in chunk:
            try:
                found[index] = self.pictures[index]
            except LisaError as error:
                damaged[index] = fault_at(self.pictures, index, error)
        for index, picture in found.items():
            self.log.check_asked(index, picture.questions)
        asked = [question for picture in found.values() for question in picture.questions]
        if all(self.log.holds(question.key) for question in asked):
            yield Window((), (), 1, damaged, len(chunk))
            return
        settled = len(damaged)
        loaded: list[LoadedPicture] = []
        images: list[Image.Image] = []
        used = 0
        for index, picture in found.items():
            if not picture.questions:
                settled += 1
                continue
            try:
                image, one = self._load(index, picture)
                size = self._bytes(one)
            except LisaError as error:
                damaged[index] = fault_at(self.pictures, index, error)
                settled += 1
                continue
            if loaded and used + size > self.most_bytes:
                yield self._window(loaded, images, damaged, settled + len(loaded))
                loaded, images, damaged, settled, used = [], [], {}, 0, 0
            loaded.append(one)
            images.append(image)
            used += size
        yield self._window(loaded, images, damaged, settled + len(loaded))

    def _load(self, index: int, picture: Picture) -> tuple[Image.Image, LoadedPicture]:
        image = picture.open()
        truths = {
            question.key: picture.truth_of(question)
            for question in picture.questions
            if not self.log.holds(question.key)
        }
        size = ImageSize(image.height, image.width)
        return image, LoadedPicture(index, picture, size, truths)

    def _bytes(self, one: LoadedPicture) -> int:
        # Right masks count, whether they are needed or not: a window must not depend on that.
        masks = len(one.picture.questions) * one.size.height * one.size.width
        return self.pipeline.kept_bytes(one.size) + masks

    def _window(
        self,
        loaded: Sequence[LoadedPicture],
        images: Sequence[Image.Image],
        damaged: Mapping[int, Fault],
        settled: int,
    ) -> Window:
        prepared = tuple(
            self.pipeline.processor.encode_images(images[first : first + _TOGETHER])
            for first in range(0, len(images), _TOGETHER)
        )
        return Window(tuple(loaded), prepared, _TOGETHER, damaged, settled)


@contextmanager
def in_background(windows: Iterator[Window], ahead: int) -> Iterator[Iterator[Window]]:
    """Let a thread read up to `ahead` windows before they are asked for.

    An error in the thread is raised where its window would have come.
    """
    ready: queue.Queue[Window | BaseException | None] = queue.Queue(max(1, ahead))
    stopped = threading.Event()

    def put(item: Window | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def read() -> None:
        try:
            for window in windows:
                put(window)
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            put(error)

    def taken() -> Iterator[Window]:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    thread = threading.Thread(target=read, name="reads pictures", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        stopped.set()
        thread.join(timeout=5)


def fault_at(pictures: Sequence[Picture], index: int, error: LisaError) -> Fault:
    """Say which picture is damaged, and how."""
    if isinstance(pictures, HasPlaces):
        place = pictures.place(index)
    elif isinstance(error, DamagedRecord):
        place = error.place
    else:
        place = f"picture {index}"
    return Fault(place, error.problems[0] if isinstance(error, DamagedRecord) else str(error))
