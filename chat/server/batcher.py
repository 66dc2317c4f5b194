"""One thread that speaks for all requests: what waits at the same time is answered as one batch."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chat.forgetting import readable
from chat.readings import Readings
from chat.server.errors import ServerStopping
from lisa.types import Conversation, ImageSize, Prediction

if TYPE_CHECKING:
    from chat.state import SessionPicture
    from chat.workbench import Workbench

_LINGER_SECONDS = 0.004
"""A pause before each batch. Requests that come together go together, and threads that wait for the
models' lock get it: whoever frees a lock and takes it again at once would keep it for ever."""


@dataclass(frozen=True)
class Spoken:
    """What the model said.

    Attributes:
        prediction: The answer.
        prompt_tokens: How many tokens the model read for it.
    """

    prediction: Prediction
    prompt_tokens: int


@dataclass(eq=False)
class _Wish:
    """One conversation that waits for its next message."""

    picture: SessionPicture
    conversation: Conversation
    max_new_tokens: int
    watch: Callable[[str], bool]
    length: int = 0
    spoken: Spoken | None = None
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def wants(self, text: str) -> bool:
        """Tell whether the answer shall go on; an error of the listener is this wish's alone."""
        try:
            return self.error is None and self.watch(text)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that wished
            self.error = error
            return False


class BatchingSpeaker:
    """A `Speaker` for many threads at once.

    Conversations are answered in the order in which they came, up to `rows` at a time. Together go
    those that want answers of the same greatest length, as long as the longest of them leaves all
    the others that much room.
    """

    def __init__(
        self, workbench: Workbench, rows: int, observe: Callable[[int, float], None]
    ) -> None:
        """Start the thread.

        Args:
            workbench: Has the model.
            rows: Most conversations of one batch.
            observe: Called with the size of each batch and the seconds that it took.
        """
        self._workbench = workbench
        self._rows = rows
        self._observe = observe
        self._readings = Readings()
        self._wishes: deque[_Wish] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="lisa-speaker", daemon=True)
        self._thread.start()

    def speak(
        self,
        picture: SessionPicture,
        conversation: Conversation,
        *,
        max_new_tokens: int,
        watch: Callable[[str], bool],
    ) -> Spoken:
        """Say the next message of the assistant, and count what was read; see `Speaker.answer`."""
        wish = _Wish(picture, conversation, max_new_tokens, watch)
        with self._changed:
            if self._closed:
                raise ServerStopping("the server is stopping: ask another one.")
            self._wishes.append(wish)
            self._changed.notify()
        wish.done.wait()
        if wish.error is not None:
            raise wish.error
        assert wish.spoken is not None
        return wish.spoken

    def close(self) -> None:
        """Answer what waits already, then end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    # --- The thread -------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wishes or self._closed)
                if not self._wishes:
                    return
            time.sleep(_LINGER_SECONDS)
            with self._workbench.lock:
                batch = self._take()
                if batch:
                    begun = time.perf_counter()
                    self._answer(batch)
                    self._observe(len(batch), time.perf_counter() - begun)

    def _take(self) -> list[_Wish]:
        """Take the wishes of the next batch from the queue."""
        batch: list[_Wish] = []
        with self._changed:
            waiting = list(self._wishes)
        for wish in waiting:
            if len(batch) == self._rows:
                break
            if not wish.length and not self._measure(wish):
                wish.done.set()
            elif self._fits(wish, batch):
                batch.append(wish)
        with self._changed:
            gone = {id(wish) for wish in batch}
            self._wishes = deque(
                wish for wish in self._wishes if id(wish) not in gone and not wish.done.is_set()
            )
        return batch

    def _measure(self, wish: _Wish) -> bool:
        """Shorten a conversation that is too long, and note its length.

        Returns:
            Whether it is to be answered.
        """
        if not wish.wants(""):
            wish.spoken = Spoken(Prediction("", (), wish.conversation.answer("")), 0)
            return False
        image, pipeline = wish.picture.image, self._workbench.pipeline
        size = ImageSize(image.height, image.width)
        try:
            wish.conversation = readable(pipeline, size, wish.conversation, wish.max_new_tokens)
            wish.length = pipeline.prompt_length(wish.conversation, size)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that wished
            wish.error = error
            return False
        return True

    def _fits(self, wish: _Wish, batch: Sequence[_Wish]) -> bool:
        if not batch:
            return True
        longest = max(wish.length, *(one.length for one in batch))
        room = self._workbench.pipeline.processor.settings.context_length - longest
        same = wish.max_new_tokens == batch[0].max_new_tokens
        return same and room >= wish.max_new_tokens

    def _answer(self, batch: Sequence[_Wish]) -> None:
        try:
            self._say(batch)
        except Exception as error:  # noqa: BLE001 - raised again in the threads that wished
            if len(batch) > 1:
                # One of them may be at fault; the others must not suffer for it.
                for wish in batch:
                    self._answer([wish])
                return
            batch[0].error = batch[0].error or error
        for wish in batch:
            wish.done.set()

    def _say(self, batch: Sequence[_Wish]) -> None:
        pictures = {wish.picture.digest: wish.picture for wish in batch}
        places = {digest: place for place, digest in enumerate(pictures)}
        spoken = self._workbench.pipeline.answer(
            [self._workbench.encode(picture) for picture in pictures.values()],
            [wish.conversation for wish in batch],
            [places[wish.picture.digest] for wish in batch],
            max_new_tokens=batch[0].max_new_tokens,
            # A cache belongs to one conversation: who asks alone is not read again.
            reading=self._readings.of(batch[0].picture) if len(batch) == 1 else None,
            watch=lambda row, text: batch[row].wants(text),
        )
        for wish, prediction in zip(batch, spoken, strict=True):
            wish.spoken = Spoken(prediction, wish.length)


class CountingSpeaker:
    """The shared speaker, as one request uses it.

    Attributes:
        prompt_tokens: Read for this request so far.
        completion_tokens: Written for it so far.
    """

    def __init__(self, speaker: BatchingSpeaker) -> None:
        self._speaker = speaker
        self.prompt_tokens = 0
        self.completion_tokens = 0

    def answer(
        self,
        picture: SessionPicture,
        conversation: Conversation,
        *,
        max_new_tokens: int,
        watch: Callable[[str], bool],
    ) -> Prediction:
        """Say the next message of the assistant; see `Speaker.answer`."""
        spoken = self._speaker.speak(
            picture, conversation, max_new_tokens=max_new_tokens, watch=watch
        )
        self.prompt_tokens += spoken.prompt_tokens
        self.completion_tokens += spoken.prediction.new_tokens
        return spoken.prediction
