"""Who talks: the sessions of all clients, found again call after call, dropped when idle."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from chat.mcp_server.tool_session import ToolSession
from lisa.errors import DataError

_HANDLE_BYTES = 16
"""Nobody guesses 128 bits; a handle is all that one needs to use a session."""


@dataclass(frozen=True)
class BookLimits:
    """How much the server remembers.

    Attributes:
        sessions: Most sessions; one more takes the place of the one that was idle longest.
        idle_seconds: A session that nobody used for so long is dropped.
        wait_seconds: A call waits so long for an earlier one of the same session.
        session_bytes: Of pictures and masks of one session.
        all_bytes: Of all; more drops idle sessions.
    """

    sessions: int = 32
    idle_seconds: float = 1800.0
    wait_seconds: float = 120.0
    session_bytes: int = 512 << 20
    all_bytes: int = 2 << 30


@dataclass(eq=False)
class Entry:
    """A session that is kept.

    Attributes:
        session: It.
        handle: What clients call it; None if it belongs to a connection.
        used: When somebody used it last, of the book's clock.
        users: Calls that work with it or wait for it; such a session is never dropped.
        lock: Held by the call that works with it.
    """

    session: ToolSession
    handle: str | None
    used: float
    users: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class SessionBook:
    """Sessions by the connection that they belong to, or by a handle that the client keeps.

    The newest version of the protocol has no connections over HTTP: every request stands alone, and
    only a handle says which session it means.

    Args:
        make: Begins a session.
        limits: How many, how long.
        clock: Seconds, ever rising.
    """

    def __init__(
        self,
        make: Callable[[], ToolSession],
        limits: BookLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits or BookLimits()
        self._make = make
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Count the sessions."""
        return len(self._entries)

    @contextmanager
    def using(self, handle: str | None, connection: str | None, *, begin: bool) -> Iterator[Entry]:
        """Lend a session to one call; others that mean the same one wait.

        Args:
            handle: What the client says; it goes before the connection.
            connection: Which connection asks; None if there are none.
            begin: Whether a call without handle and connection begins a session.

        Raises:
            DataError: There is no such session, or it stays busy.
        """
        entry = self._take(handle, connection, begin)
        try:
            if not entry.lock.acquire(timeout=self.limits.wait_seconds):
                raise DataError("an earlier call of this session still runs: try again later.")
            try:
                yield entry
            finally:
                entry.lock.release()
        finally:
            with self._lock:
                entry.users -= 1
                entry.used = self._clock()

    def _take(self, handle: str | None, connection: str | None, begin: bool) -> Entry:
        with self._lock:
            self._drop_idle()
            # Handles are never connections: nobody can name the session of another's connection.
            key = f"handle {handle}" if handle is not None else f"connection {connection}"
            entry = self._entries.get(key)
            if entry is None:
                if handle is not None:
                    raise DataError(
                        f"there is no session {handle[:40]!r} (any more): open the picture again."
                    )
                if connection is None and not begin:
                    raise DataError(
                        "this call names no session: open a picture first, and give the 'session' "
                        "that comes back with every later call."
                    )
                entry = self._begin(None if connection is None else key)
            entry.users += 1
            return entry

    def _begin(self, key: str | None) -> Entry:
        if len(self._entries) >= self.limits.sessions:
            self._drop_one()
        handle = secrets.token_urlsafe(_HANDLE_BYTES) if key is None else None
        entry = Entry(self._make(), handle, self._clock())
        self._entries[key or f"handle {handle}"] = entry
        return entry

    def _drop_idle(self) -> None:
        oldest = self._clock() - self.limits.idle_seconds
        for key, entry in list(self._entries.items()):
            if not entry.users and entry.used < oldest:
                del self._entries[key]
        while sum(one.session.held_bytes for one in self._entries.values()) > self.limits.all_bytes:
            if not self._drop_longest_idle():
                return

    def _drop_one(self) -> None:
        if not self._drop_longest_idle():
            raise DataError(
                f"all {self.limits.sessions} sessions of this server are at work: try again later."
            )

    def _drop_longest_idle(self) -> bool:
        idle = {key: one.used for key, one in self._entries.items() if not one.users}
        if not idle:
            return False
        del self._entries[min(idle, key=lambda key: idle[key])]
        return True
