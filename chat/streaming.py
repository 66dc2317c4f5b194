"""A turn as an iterator of its steps, for faces that pull instead of being called."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from chat.cancellation import Cancellation
from chat.steps import Step

if TYPE_CHECKING:
    from chat.session import ChatSession


def stream_turn(
    session: ChatSession,
    question: str,
    *,
    picture: int | None = None,
    cancellation: Cancellation | None = None,
) -> Iterator[Step]:
    """Ask a question and yield each step as it happens.

    The turn runs in a thread of its own. When the iterator ends or is closed, the thread has ended
    too: closing it early stops the turn, which leaves the session as it was.

    Args:
        session: Takes the turn.
        question: As `ChatSession.ask` takes it.
        picture: Likewise.
        cancellation: Stops the turn from elsewhere.

    Raises:
        LisaError: What `ChatSession.ask` raises.
    """
    stop = cancellation or Cancellation()
    steps: queue.SimpleQueue[Step | None] = queue.SimpleQueue()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            session.ask(question, picture=picture, listener=steps.put, cancellation=stop)
        except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
            failed.append(error)
        finally:
            steps.put(None)

    thread = threading.Thread(target=work, name="lisa-turn", daemon=True)
    thread.start()
    ended = False
    try:
        while (step := steps.get()) is not None:
            yield step
        ended = True
    finally:
        if not ended:
            stop.cancel()
        thread.join()
    if failed:
        raise failed[0]
