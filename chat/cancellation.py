"""Whether a turn shall go on: somebody may stop it, and its time may run out."""

from __future__ import annotations

import threading
import time

from lisa.errors import LisaError


class TurnCancelled(LisaError):
    """Somebody stopped a turn; its session is as it was before."""


class Cancellation:
    """A turn's stop sign, shared between threads.

    Attributes:
        deadline: Of `time.monotonic`; None for no end.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.deadline = None if seconds is None else time.monotonic() + seconds
        self._stopped = threading.Event()

    def cancel(self) -> None:
        """Ask the turn to stop soon."""
        self._stopped.set()

    def limit(self, seconds: float) -> None:
        """End in so many seconds at the latest; an earlier deadline stays."""
        deadline = time.monotonic() + seconds
        self.deadline = deadline if self.deadline is None else min(self.deadline, deadline)

    def check(self) -> None:
        """Go on unless somebody asked the turn to stop.

        Raises:
            TurnCancelled: Somebody did.
        """
        if self.is_cancelled:
            raise TurnCancelled("the turn was stopped; the session is as it was before it.")

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody asked it to stop."""
        return self._stopped.is_set()

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the deadline, 0 behind it; None for no end."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the turn has to end, for either reason."""
        return self.is_cancelled or self.seconds_left == 0.0
