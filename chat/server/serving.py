"""Runs the application until it is told to stop, and then lets it finish."""

from __future__ import annotations

import asyncio
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from chat.server.desk import Desk
from chat.server.guard import MAX_HEAD_BYTES
from chat.server.protocol import impatient_protocol
from chat.server.settings import ServerSettings

_KEEP_ALIVE_SECONDS = 30


class PatientServer(uvicorn.Server):
    """uvicorn's, but a first signal only closes the desk.

    While requests finish, the port stays open, so that new ones get a clear refusal (503) and
    another server is asked. A second signal ends it at once.
    """

    def __init__(self, config: uvicorn.Config, desk: Desk, greeting: str) -> None:
        """Prepare.

        Args:
            config: How to listen.
            desk: Knows what runs.
            greeting: Printed once the port is open; {address} becomes its address.
        """
        super().__init__(config)
        self._desk = desk
        self._greeting = greeting
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        print(self._greeting.format(address=f"http://{shown}:{port}"), flush=True)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """React to a signal."""
        if self._loop is None or self._desk.is_draining:
            self.force_exit = True
            super().handle_exit(sig, frame)
        else:
            self._desk.is_draining = True
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        self._draining = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        await self._desk.drain()
        self.should_exit = True


def server_for(
    app: FastAPI, settings: ServerSettings, host: str, port: int, greeting: str = ""
) -> PatientServer:
    """Return a server that is ready to `run()`.

    Args:
        app: Of `create_app`.
        settings: As for `create_app`.
        host: Name or address to listen on.
        port: 0 for any free one.
        greeting: See `PatientServer`.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=impatient_protocol(settings.body_seconds, settings.write_seconds),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        limit_concurrency=settings.connections,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(settings.write_seconds)),
    )
    return PatientServer(config, app.state.desk, greeting)
