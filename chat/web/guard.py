"""What stands before the page's server: which requests it takes, and what browsers may do with it.

Gradio serves more than a page needs (it fetches addresses for its users, lists its functions). Only
the paths that this page uses go through.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from chat.safety.hosts import is_local
from chat.safety.keys import ApiKey

_API = "/gradio_api"
_OPEN = re.compile(
    r"/|/config/?|/theme\.css|/favicon\.ico|/manifest\.json|/robots\.txt|/(?:static|assets|svelte)/.+"
    rf"|{_API}/(?:info/?|startup-events|app_id/?|login_check/?|user/?|token/?|theme\.css"
    r"|queue/(?:join|data)|cancel|reset/?|heartbeat/[a-z0-9]+|upload|upload_progress"
    # A file by its path; never by an address, which the server would fetch.
    r"|file=(?![a-zA-Z][a-zA-Z0-9+.-]*:)[^?]+)"
)
_UPLOAD = f"{_API}/upload"
_STARTUP = f"{_API}/startup-events"
"""Gradio asks itself for this when it starts; it tells nothing."""
_HEADERS = {
    # Gradio's own scripts need inline code and eval; nothing comes from or goes to other hosts.
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' "
    "'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


@dataclass(frozen=True)
class GuardSettings:
    """Whom a guard lets in, and with how much.

    Attributes:
        body_bytes: Of a request that is no upload.
        upload_bytes: Of an upload, all of its files together.
        any_host: Whether the server may be called by any name. On this machine alone it is called
            by one of three: a page elsewhere whose name leads here is kept out.
        key: That browsers have to give as a password, under any name; None lets everybody in.
    """

    body_bytes: int
    upload_bytes: int
    any_host: bool = False
    key: ApiKey | None = None


class Guard:
    """Takes the requests of the page, and refuses all others in one sentence."""

    def __init__(self, app: Any, settings: GuardSettings) -> None:
        """Stand before an app of ASGI."""
        self._app, self._settings = app, settings

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _refuse(send, *refusal)
            return
        left = self._most(scope["path"])

        async def counted() -> Any:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            # A body that goes on for ever is cut as if its sender had left.
            return {"type": "http.disconnect"} if left < 0 else message

        async def marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        await self._app(scope, counted, marked)

    def _most(self, path: str) -> int:
        most = self._settings
        return most.upload_bytes if path == _UPLOAD else most.body_bytes

    def _refusal(self, scope: Any, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._settings.any_host and not is_local(_name_of(f"//{host}")):
            return 421, "This server is for its own machine: open it as localhost."
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "Another page may not use this server."
        key = self._settings.key
        if key is not None and scope["path"] != _STARTUP and not _knows(key, headers):
            return 401, "Give the key of this server as the password."
        if not _OPEN.fullmatch(scope["path"]):
            return 404, "There is nothing here."
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._most(scope["path"]):
            return 413, "The request is too large."
        return None


def _knows(key: ApiKey, headers: dict[str, str]) -> bool:
    """Tell whether a request carries the key as a password, as browsers send it."""
    scheme, _, packed = headers.get("authorization", "").partition(" ")
    try:
        given = base64.b64decode(packed, validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    return scheme.lower() == "basic" and key.opens(f"Bearer {given.partition(':')[2]}")


def _name_of(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


async def _refuse(send: Any, status: int, text: str) -> None:
    body = json.dumps({"detail": text}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="LISA", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
