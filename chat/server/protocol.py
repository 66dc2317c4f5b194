"""HTTP connections that do not wait for ever.

uvicorn waits without end for the head of a request and for a client that does not read its answer;
a few thousand such connections would lock everybody else out.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


def impatient_protocol(head_seconds: float, write_seconds: float) -> type[H11Protocol]:
    """Return a protocol for `uvicorn.Config(http=...)`.

    Args:
        head_seconds: In which the head of a request must have arrived.
        write_seconds: For which a client may leave its answer unread.
    """

    class ImpatientProtocol(H11Protocol):
        """uvicorn's, with two clocks."""

        _head_clock: asyncio.TimerHandle | None = None
        _write_clock: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._head_clock = self.loop.call_later(head_seconds, transport.abort)

        def connection_lost(self, exc: Exception | None) -> None:
            for clock in (self._head_clock, self._write_clock):
                if clock is not None:
                    clock.cancel()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            begun = self.conn.their_state is h11.IDLE and not self.transport.is_closing()
            if not begun and self._head_clock is not None:
                self._head_clock.cancel()
                self._head_clock = None
            elif begun and self._head_clock is None:
                self._head_clock = self.loop.call_later(head_seconds, self.transport.abort)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._write_clock = self.loop.call_later(write_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            if self._write_clock is not None:
                self._write_clock.cancel()
                self._write_clock = None
            super().resume_writing()

    return ImpatientProtocol
