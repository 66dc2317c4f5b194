"""A host that answers as a test wants, and a network on which names mean what a test wants."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chat.safety.sockets import Deadline, Network

PUBLIC = "93.184.215.14"
"""Nobody connects to it: `FakeNetwork` leads elsewhere."""

Script = Callable[[socket.socket, bytes], None]


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> Script:
    """A host that sends the same to everybody."""
    named = {
        "Content-Length": str(len(body)),
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())

    def send(connection: socket.socket, request: bytes) -> None:
        connection.sendall(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body)

    return send


def redirect(to: str) -> Script:
    """A host that sends everybody elsewhere."""
    return answer(status="302 Found", Location=to)


@contextlib.contextmanager
def host(script: Script) -> Iterator[tuple[int, list[bytes]]]:
    """Serve on a free port of this machine; yields it, and the requests as they come."""
    requests: list[bytes] = []
    stopped = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(10)
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(4096) or b"\r\n\r\n"
            requests.append(request)
            script(connection, request)

    def accept(listener: socket.socket) -> None:
        while not stopped.is_set():
            with contextlib.suppress(OSError):
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        thread = threading.Thread(target=accept, args=(listener,), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], requests
        finally:
            stopped.set()
            thread.join()


@dataclass
class FakeNetwork(Network):
    """Names as given, and every connection goes to one port of this machine.

    Attributes:
        port: Where connections go.
        names: Addresses of each name; of several lists, each question takes the next.
        asked: Names that were looked up.
        connected: Addresses that were connected to, as far as the fetcher knows.
    """

    port: int
    names: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)

    def resolve(self, host: str, port: int, deadline: Deadline) -> list[str]:
        self.asked.append(host)
        answers = self.names.get(host, [[PUBLIC]])
        return list(answers[min(self.asked.count(host), len(answers)) - 1])

    def connect(self, address: str, port: int, deadline: Deadline) -> socket.socket:
        self.connected.append(address)
        return socket.create_connection(("127.0.0.1", self.port), timeout=deadline.left)


class Unreachable(Network):
    """The real names of this machine, and a network on which nothing may be connected to."""

    def connect(self, address: str, port: int, deadline: Deadline) -> socket.socket:
        raise AssertionError(f"connected to {address}:{port}")
