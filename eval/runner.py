"""Puts the questions of an evaluation to a pipeline, and goes on when a picture is damaged.

Questions about several pictures are sorted by length and answered in batches. Each picture is
encoded once; its features are kept until its last question is answered. Answers are written as they
are given, so that an interrupted run can be resumed, by any number of processes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tqdm import tqdm

from eval.answers import ask_regions
from eval.loading import LoadedPicture, Loader, Window, fault_at, in_background
from eval.prediction_log import Place, PredictionLog
from eval.progress import Progress
from eval.protocols import PROTOCOLS, ProtocolName
from eval.questions import Picture, Question
from eval.results import Answer, Result, judge
from lisa.data.faults import Fault
from lisa.errors import ConfigError, LisaError
from lisa.types import ImageSize

if TYPE_CHECKING:
    from lisa.models import EncodedImage
    from lisa.pipeline import LisaPipeline

_PICTURES = 2
"""Pictures of a chunk, times the questions of a batch: enough to sort where each has only one."""


@dataclass(frozen=True)
class RunSettings:
    """How questions are put.

    Attributes:
        protocol: How questions in words are put: see `eval.protocols`.
        batch_size: Most questions that are answered together.
        max_new_tokens: Most tokens of an answer.
        min_new_tokens: Fewest; for measurements of speed.
        cache_bytes: Memory that the features of pictures and their right masks may take.
        read_ahead: How many windows of pictures are read before the model asks for them.

    Raises:
        ConfigError: If a number is too small or the protocol is unknown.
    """

    protocol: ProtocolName = "generate"
    batch_size: int = 8
    max_new_tokens: int = 64
    min_new_tokens: int = 0
    cache_bytes: int = 2 << 30
    read_ahead: int = 2

    def __post_init__(self) -> None:
        """Check the values."""
        if self.protocol not in PROTOCOLS:
            raise ConfigError(
                f"There is no protocol {self.protocol!r}: use {' or '.join(PROTOCOLS)}."
            )
        for name in ("batch_size", "max_new_tokens", "cache_bytes", "read_ahead"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be 1 or more.")


@dataclass(frozen=True)
class Evaluation:
    """What was asked; those of several processes are joined by joining their parts.

    Attributes:
        results: Judged answers, in the order of the questions.
        damaged: Pictures that could not be asked about, none of whose questions count.
    """

    results: tuple[Result, ...]
    damaged: tuple[Fault, ...]


def run(
    pipeline: LisaPipeline,
    pictures: Sequence[Picture],
    log: PredictionLog,
    settings: RunSettings,
    *,
    name: str,
    show: bool = True,
) -> Evaluation:
    """Answer every question that the log does not hold yet.

    Args:
        pipeline: What is evaluated.
        pictures: With their questions; the processes of the log share them.
        log: Answers are written to it at once, those of a batch together.
        settings: How questions are put.
        name: Stands before the progress bar.
        show: Whether the bar is drawn; only the first process draws it.

    Returns:
        Everything in the first process, answers that the log held included; in the others their
        own part.

    Raises:
        DataError: If the log answers what is not asked any more.
    """
    log.check_count(len(pictures))
    loader = Loader(pipeline, pictures, log, _PICTURES * settings.batch_size, settings.cache_bytes)
    chunks = loader.chunks(log.processes)
    own = sum(map(len, chunks))
    try:
        with (
            Progress(name, own, show=show and log.processes.is_main) as progress,
            in_background(loader.windows(chunks), settings.read_ahead) as windows,
        ):
            for window in windows:
                for results in _Asker(pipeline, pictures, window, log, settings).batches():
                    progress.show(results)
                progress.advance(window.settled)
    except KeyboardInterrupt:
        if log.path is not None and log.processes.is_main:
            note = f"stopped: {log.path} keeps the answers so far; --resume goes on from them."
            tqdm.write(note, file=sys.stderr)
        raise
    found = log.finish()
    return Evaluation(found.results, found.damaged)


@dataclass(frozen=True, eq=False)
class _Asked:
    """A question about a picture of a window.

    Attributes:
        place: In the evaluation.
        position: Of the picture in the window.
        question: What is asked.
        length: Tokens of the question; 0 for clicks and boxes.
    """

    place: Place
    position: int
    question: Question
    length: int = 0


class _Asker:
    """Asks about the pictures of one window."""

    def __init__(
        self,
        pipeline: LisaPipeline,
        pictures: Sequence[Picture],
        window: Window,
        log: PredictionLog,
        settings: RunSettings,
    ) -> None:
        self._pipeline = pipeline
        self._all = pictures
        self._window = window
        self._log = log
        self._settings = settings
        self._encoded: dict[int, EncodedImage] = {}

    def batches(self) -> Iterator[list[Result]]:
        """Yield the judged answers of batch after batch; they are in the log already."""
        for index, fault in self._window.damaged.items():
            self._leave_out(index, fault)
        batches = [batch for batch in self._plan() if not self._is_known(batch)]
        for number, batch in enumerate(batches):
            yield self._answer(batch)
            wanted = {asked.position for later in batches[number + 1 :] for asked in later}
            self._encoded = {k: v for k, v in self._encoded.items() if k in wanted}

    def _leave_out(self, index: int, fault: Fault) -> None:
        self._log.leave_out(index, fault)
        tqdm.write(f"left out: {fault}", file=sys.stderr)

    def _is_known(self, batch: Sequence[_Asked]) -> bool:
        return all(self._log.holds(asked.question.key) for asked in batch)

    def _plan(self) -> list[list[_Asked]]:
        """Return all batches, also those that are answered: a batch is always the same."""
        worded: list[_Asked] = []
        regions: list[list[_Asked]] = []
        for position, loaded in enumerate(self._window.pictures):
            try:
                asked = self._questions(position, loaded)
            except LisaError as error:
                self._leave_out(loaded.index, fault_at(self._all, loaded.index, error))
                continue
            worded += [one for one in asked if one.question.text is not None]
            regions += self._cut([one for one in asked if one.question.text is None])
        # The longest first: if memory does not suffice, that shows at once.
        worded.sort(key=lambda one: (-one.length, one.place))
        return [*self._cut(worded), *regions]

    def _cut(self, asked: Sequence[_Asked]) -> list[list[_Asked]]:
        size = self._settings.batch_size
        return [list(asked[first : first + size]) for first in range(0, len(asked), size)]

    def _questions(self, position: int, loaded: LoadedPicture) -> list[_Asked]:
        return [
            _Asked((loaded.index, number), position, one, self._length(one, loaded.size))
            for number, one in enumerate(loaded.picture.questions)
        ]

    def _length(self, question: Question, size: ImageSize) -> int:
        if question.text is None:
            return 0
        return self._pipeline.prompt_length(question.conversation, size)

    def _answer(self, batch: Sequence[_Asked]) -> list[Result]:
        started = time.perf_counter()
        positions = sorted({asked.position for asked in batch})
        images = [self._image(position) for position in positions]
        questions = [asked.question for asked in batch]
        if questions[0].text is None:
            answers = ask_regions(self._pipeline, images[0], questions)
        else:
            answers = PROTOCOLS[self._settings.protocol].ask(
                self._pipeline,
                images,
                questions,
                [positions.index(asked.position) for asked in batch],
                max_new_tokens=self._settings.max_new_tokens,
                min_new_tokens=self._settings.min_new_tokens,
            )
        seconds = (time.perf_counter() - started) / len(batch)
        results = [
            (asked.place, self._judge(asked, answer, seconds))
            for asked, answer in zip(batch, answers, strict=True)
            if not self._log.holds(asked.question.key)
        ]
        self._log.append(results)
        return [result for _, result in results]

    def _judge(self, asked: _Asked, answer: Answer, seconds: float) -> Result:
        loaded = self._window.pictures[asked.position]
        truth = loaded.truths[asked.question.key]
        timed = replace(answer, seconds=seconds)
        return judge(loaded.picture, asked.question, truth, timed)

    def _image(self, position: int) -> EncodedImage:
        if position not in self._encoded:
            group, together = position // self._window.together, self._window.together
            encoded = self._pipeline.encode_inputs(self._window.prepared[group])
            self._encoded |= dict(enumerate(encoded, group * together))
        return self._encoded[position]
