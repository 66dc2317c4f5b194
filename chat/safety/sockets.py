"""Connections to an address that was checked, with one deadline for everything on them."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from lisa.errors import ImageError


class Deadline:
    """The moment by which a fetch has to be over.

    Args:
        seconds: From now.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._seconds = seconds

    @property
    def left(self) -> float:
        """Seconds left, above zero.

        Raises:
            ImageError: If there are none.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise ImageError(
                f"the address did not send its picture within {self._seconds:g} seconds: "
                "send the picture as a data URL."
            )
        return left


class Network:
    """The network as the fetcher uses it; tests put another in its place."""

    def resolve(self, host: str, port: int, deadline: Deadline) -> list[str]:
        """Return the IP addresses of a host; none if it has none."""
        found: list[str] = []

        def look_up() -> None:
            try:
                answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                return
            found.extend(str(answer[4][0]) for answer in answers)

        # The system's resolver cannot be told when to stop.
        thread = threading.Thread(target=look_up, daemon=True)
        thread.start()
        thread.join(deadline.left)
        return list(found)

    def connect(self, address: str, port: int, deadline: Deadline) -> socket.socket:
        """Open a connection to an IP address; no name is looked up again.

        Raises:
            OSError: If nobody answers.
        """
        return socket.create_connection((address, port), timeout=deadline.left)

    def trust(self) -> ssl.SSLContext:
        """Return whom to believe: the authorities of this machine."""
        return ssl.create_default_context()


class _TimedReader(io.RawIOBase):
    """Reads a socket; every wait is cut to what is left of the deadline."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection, self._deadline = connection, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(self._deadline.left)
        return self._connection.recv_into(buffer)


class _TimedSocket:
    """What `http.client` needs of a socket, under one deadline.

    A timeout of the socket itself starts anew with every byte, so somebody who sends one byte a
    second would hold it for ever.
    """

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection, self._deadline = connection, deadline

    def sendall(self, data: bytes) -> None:
        self._connection.settimeout(self._deadline.left)
        self._connection.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb"  # all that http.client asks for
        return io.BufferedReader(_TimedReader(self._connection, self._deadline))

    def close(self) -> None:
        """Do nothing: http.client says this before the body is read; `connected` closes it."""


@contextmanager
def connected(
    network: Network, address: str, host: str, port: int, deadline: Deadline, *, secure: bool
) -> Iterator[http.client.HTTPConnection]:
    """Lend a connection to `address` that speaks as if it had looked `host` up itself.

    Args:
        network: Opens it.
        address: IP address to connect to; already checked.
        host: Name that the certificate has to be for.
        port: Port.
        deadline: For everything on the connection.
        secure: Whether to speak TLS.

    Raises:
        OSError: If nobody answers, or the certificate is not for `host`.
    """
    connection = network.connect(address, port, deadline)
    try:
        if secure:
            connection.settimeout(deadline.left)
            connection = network.trust().wrap_socket(connection, server_hostname=host)
        opened = http.client.HTTPConnection(host, port)
        opened.sock = cast(socket.socket, _TimedSocket(connection, deadline))
        yield opened
    finally:
        connection.close()
