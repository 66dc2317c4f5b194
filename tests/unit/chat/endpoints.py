"""An OpenAI-compatible endpoint on a real socket that says what a test wants."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """What the endpoint does with a request.

    Attributes:
        body: Bytes, or JSON values.
        status: Of HTTP.
        headers: More headers.
        wait: Seconds before it answers.
        drops: Send the body a byte at a time, with so many seconds between.
    """

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    drops: float = 0.0


@dataclass
class Heard:
    """What the endpoint was asked.

    Attributes:
        paths: Of the requests.
        bodies: Their JSON.
        headers: Their headers.
    """

    paths: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


def said(text: str | None = None, **call: Any) -> Answer:
    """A chat completion with words, or with a call of `name` and `arguments`."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if call:
        message["tool_calls"] = [{"id": "x", "type": "function", "function": call}]
    return Answer({"choices": [{"message": message}]})


@contextmanager
def endpoint(answers: Sequence[Answer]) -> Iterator[tuple[str, Heard]]:
    """Serve the answers one after the other, the last for ever; give the base address."""
    heard = Heard()
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            heard.paths.append(self.path)
            heard.bodies.append(json.loads(self.rfile.read(length)))
            heard.headers.append({k.lower(): v for k, v in self.headers.items()})
            answer = left.pop(0) if len(left) > 1 else left[0]
            time.sleep(answer.wait)
            body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body)
            raw = body.encode() if isinstance(body, str) else body
            try:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                pieces = [raw[n : n + 1] for n in range(len(raw))] if answer.drops else [raw]
                for piece in pieces:
                    self.wfile.write(piece)
                    time.sleep(answer.drops)
            except OSError:
                pass  # the client has had enough

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", heard
    finally:
        server.shutdown()
        server.server_close()
