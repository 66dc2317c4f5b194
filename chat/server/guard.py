"""The gate before every route: key, headers, and the size, speed and shape of a body.

It reads the whole body itself, within bounds, before anything interprets it; what is behind it
works on bytes that are already here.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chat.server.errors import Refusal
from chat.server.settings import ServerSettings

OPEN_PATHS = frozenset({"/healthz"})
"""What needs no key: whoever keeps servers alive must be able to ask whether this one is."""

MAX_HEAD_BYTES = 16_384
"""Of all names and values in the head of a request."""

_ONCE = ("authorization", "content-length", "content-type", "host", "transfer-encoding")
# Text that is never closed counts to the end: every later quote would begin the search anew.
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


class ClientGone(Exception):
    """The client has hung up; nobody reads an answer."""


class Guard:
    """ASGI middleware; see the module."""

    def __init__(
        self, app: ASGIApp, settings: ServerSettings, count: Callable[[str, str, int], None]
    ) -> None:
        """Stand before an application.

        Args:
            app: The application.
            settings: Bounds and key.
            count: Called with method, path and status of every answer.
        """
        self.app = app
        self.settings = settings
        self.count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.count(scope["method"], _route_of(scope), message["status"])
            await send(message)

        try:
            self._check_head(scope)
            body = await self._read_body(scope, receive)
        except Refusal as refusal:
            # What is still to come of the body is not read: the connection cannot be used again.
            refusal.close = refusal.close or _has_body(Headers(scope=scope))
            response = JSONResponse(refusal.body, refusal.status, refusal.headers)
            await response(scope, receive, counted)
            return
        except ClientGone:
            return
        await self.app(scope, _replay(body, receive), counted)

    # --- Head -------------------------------------------------------------------------------------

    def _check_head(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        # uvicorn bounds heads that come in pieces; one that comes at once may be longer.
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEAD_BYTES:
            raise Refusal(431, f"the head is above the limit of {MAX_HEAD_BYTES:,} bytes.", "head")
        seen = Counter(name.decode("latin-1").lower() for name, _ in scope["headers"])
        twice = [name for name in _ONCE if seen[name] > 1]
        if twice:
            raise Refusal(400, f"the header {twice[0]} is there twice.", "duplicate_header")
        if "content-length" in headers and "transfer-encoding" in headers:
            # Servers in a row would read two different requests from it.
            raise Refusal(
                400, "content-length and transfer-encoding exclude each other.", "bad_framing"
            )
        hosts = self.settings.hosts
        if hosts is not None and _host_name(headers.get("host", "")) not in hosts:
            raise Refusal(421, f"this server is called {' or '.join(hosts)}.", "wrong_host")
        key = self.settings.key
        is_open = scope["path"] in OPEN_PATHS
        if key is not None and not is_open and not key.opens(headers.get("authorization")):
            raise Refusal(
                401, "send the right key as 'Authorization: Bearer KEY'.", "invalid_api_key"
            )

    # --- Body -------------------------------------------------------------------------------------

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes:
        headers = Headers(scope=scope)
        if not _has_body(headers):
            return b""
        if scope["method"] in ("GET", "HEAD"):
            raise Refusal(400, f"{scope['method']} takes no body.", "unexpected_body")
        most = self.settings.limits.request_bytes
        claimed = headers.get("content-length", "0")
        if not claimed.isdecimal() or int(claimed[:20]) > most:
            raise self._too_large()
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refusal(
                415, "send the body as application/json; pictures go into it as data URLs.", "kind"
            )
        try:
            async with asyncio.timeout(self.settings.body_seconds):
                body = await self._collect(receive, most)
        except TimeoutError as error:
            raise Refusal(
                408, f"the body did not arrive in {self.settings.body_seconds:g} seconds.", "slow"
            ) from error
        # Some 10 ms for each 10 MB: long enough to be kept from the event loop.
        await asyncio.to_thread(check_structure, body, self.settings)
        return body

    async def _collect(self, receive: Receive, most: int) -> bytes:
        parts: list[bytes] = []
        length = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            parts.append(message.get("body", b""))
            length += len(parts[-1])
            if length > most:
                raise self._too_large()
            if not message.get("more_body", False):
                return b"".join(parts)

    def _too_large(self) -> Refusal:
        most = self.settings.limits.request_bytes
        return Refusal(
            413, f"the body is above the limit of {most:,} bytes: send less.", "body_too_large"
        )


def check_structure(body: bytes, settings: ServerSettings) -> None:
    """Refuse JSON that is small to send but large to read: nested deeply, or in many small pieces.

    Args:
        body: JSON, perhaps malformed; quoted text counts for nothing.
        settings: Bounds.

    Raises:
        Refusal: 400 or 413.
    """
    most = settings.json_structure_bytes
    # The quotes first: millions of tiny texts take long to take out.
    quotes = body.count(b'"')
    too_many = quotes > most // 4
    bare = b"" if too_many else _TEXT.sub(b"", body)
    if too_many or quotes + len(bare) > most:
        raise Refusal(
            413,
            f"the body has more than {most:,} quotes, numbers and brackets: send less.",
            "json_too_large",
        )
    depth = 0
    for bracket in _BRACKETS.findall(bare):
        depth += 1 if bracket in b"[{" else -1
        if depth > settings.json_depth:
            raise Refusal(
                400,
                f"the body is nested deeper than {settings.json_depth} levels: flatten it.",
                "json_too_deep",
            )


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _host_name(host: str) -> str:
    """Return a host without its port, in small letters; IPv6 addresses stand in brackets."""
    name, bracket, _ = host.partition("]")
    return (name + bracket if bracket else host.partition(":")[0]).lower()


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body that is here already, then what comes after it."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _route_of(scope: Scope) -> str:
    """Return the route's pattern; all paths that lead nowhere are one, or counters had no end."""
    route: Any = scope.get("route")
    return getattr(route, "path", "unknown")
