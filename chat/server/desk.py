"""Takes requests, lets them wait their turn, and runs each in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import Any, Generic, TypeVar

from starlette.types import Receive

from chat.cancellation import Cancellation
from chat.server.errors import Refusal
from chat.server.guard import ClientGone
from chat.server.settings import ServerSettings

T = TypeVar("T")


@dataclass(eq=False)
class Job(Generic[T]):
    """Work that waits or runs.

    Attributes:
        future: Its result.
        cancellation: Stops it.
    """

    future: Future[T]
    cancellation: Cancellation

    def stop(self) -> None:
        """End it soon; work that still waits ends as soon as it begins."""
        self.cancellation.cancel()


class Desk:
    """A bounded queue before a bounded number of threads.

    Only the event loop calls it; what runs in the threads is handed in.
    """

    def __init__(self, settings: ServerSettings, observe: Callable[[int], None]) -> None:
        """Open.

        Args:
            settings: How many may work and wait, and for how long.
            observe: Called with the number of requests inside, whenever it changes.
        """
        self._settings = settings
        self._observe = observe
        self._pool = ThreadPoolExecutor(settings.turns, thread_name_prefix="lisa-turn")
        self._seconds = 1.0
        self._jobs: set[Job[Any]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self.is_draining = False

    @property
    def inside(self) -> int:
        """How many requests wait or are worked on."""
        return len(self._jobs)

    def start(self, work: Callable[[Cancellation], T]) -> Job[T]:
        """Take a request.

        Args:
            work: Runs in a thread; its time is counted from now on, waiting included.

        Raises:
            Refusal: 429 if too many wait already, 503 if the server is about to stop.
        """
        if self.is_draining:
            raise Refusal(503, "the server is stopping: ask another one.", "stopping", None, 5)
        settings = self._settings
        if self.inside >= settings.turns + settings.waiting:
            wait = self._seconds * settings.waiting / settings.turns
            raise Refusal(
                429, f"{settings.waiting} requests wait already: try later.", "busy", None, wait
            )
        cancellation = Cancellation(settings.seconds)
        loop = asyncio.get_running_loop()
        begun = monotonic()

        def timed() -> T:
            cancellation.check()
            if cancellation.is_over:
                raise overdue(settings)
            return work(cancellation)

        job = Job(self._pool.submit(timed), cancellation)
        self._jobs.add(job)
        self._changed()
        job.future.add_done_callback(
            lambda _: loop.call_soon_threadsafe(self._finished, job, monotonic() - begun)
        )
        return job

    async def result(self, job: Job[T], receive: Receive) -> T:
        """Wait for a job, unless its client hangs up: then it is stopped.

        Raises:
            ClientGone: Nobody waits for the answer any more.
        """
        try:
            return await unless_gone(asyncio.wrap_future(job.future), receive)
        except (ClientGone, asyncio.CancelledError):
            job.stop()
            raise

    async def drain(self) -> None:
        """Take nothing more, and wait until everything inside has ended, or its time is over."""
        self.is_draining = True
        try:
            async with asyncio.timeout(self._settings.drain_seconds):
                await self._idle.wait()
        except TimeoutError:
            for job in tuple(self._jobs):
                job.stop()

    async def close(self) -> None:
        """Stop what is left, and end the threads."""
        self.is_draining = True
        for job in tuple(self._jobs):
            job.stop()
        await asyncio.to_thread(self._pool.shutdown)

    def _finished(self, job: Job[Any], seconds: float) -> None:
        # What the mean of the last few requests took.
        self._seconds += 0.2 * (seconds - self._seconds)
        self._jobs.discard(job)
        self._changed()

    def _changed(self) -> None:
        self._observe(self.inside)
        if self.inside:
            self._idle.clear()
        else:
            self._idle.set()


def overdue(settings: ServerSettings) -> Refusal:
    """Return the refusal of a request whose time was over before it had an answer."""
    return Refusal(
        503, f"there was no answer within {settings.seconds:g} seconds.", "overdue", None, 5
    )


async def unless_gone(wanted: Awaitable[T], receive: Receive) -> T:
    """Wait for something as long as the client is there.

    Args:
        wanted: Cancelled if the client goes.
        receive: Of the request, whose body has been read.

    Raises:
        ClientGone: The client has hung up first.
    """
    result: asyncio.Future[T] = asyncio.ensure_future(wanted)
    gone = asyncio.ensure_future(_hung_up(receive))
    waiting: list[asyncio.Future[Any]] = [result, gone]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if result.done():
            return result.result()
        raise ClientGone
    finally:
        for future in waiting:
            future.cancel()


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
