"""The server over HTTP: who may come in, and which session is whose."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chat.mcp_server.sessions import BookLimits
from chat.safety.hosts import LOCAL_HOSTS, is_local
from chat.safety.keys import KEY_VARIABLE, ApiKey
from chat.safety.limits import SafetyLimits
from chat.server.settings import ServerSettings
from lisa.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    import uvicorn
    from mcp.server.lowlevel import Server
    from starlette.types import ASGIApp

PATH = "/mcp"
_MAX_CLIENTS = 200
_CLOSING_SECONDS = 10


@dataclass(frozen=True)
class HttpSettings:
    """Where to serve, and for whom.

    Attributes:
        host: Address to listen on.
        port: 0 takes a free one.
        names: Names besides the local ones by which clients may call this server, such as
            "lisa.example.org"; a web page that gives its own name this machine's address has none.
        key: What clients have to send; None for nothing, on this machine only.
        limits: On requests.
        book: On sessions.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    names: tuple[str, ...] = ()
    key: ApiKey | None = None
    limits: SafetyLimits = SafetyLimits()
    book: BookLimits = BookLimits()

    def __post_init__(self) -> None:
        """Refuse to serve strangers without a key."""
        if not is_local(self.host) and self.key is None:
            raise ConfigError(
                f"{self.host} can be reached from other machines: set a key in {KEY_VARIABLE}, or "
                "serve on 127.0.0.1."
            )


def read_place(text: str) -> tuple[str, int]:
    """Return host and port of "HOST:PORT" or "PORT"; IPv6 stands in brackets.

    Raises:
        ConfigError: It is none.
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535 or (":" in host and host[0] + host[-1] != "[]"):
        raise ConfigError(
            f"{text!r} is no place to serve: write HOST:PORT, such as 127.0.0.1:8765."
        )
    return host.strip("[]") or "127.0.0.1", int(port)


def connection_of(context: Any) -> str | None:
    """Return the connection that a request belongs to; None where every request stands alone.

    Only the older versions of the protocol have sessions of their own over HTTP. The SDK has found
    theirs already, so the header that names it is true.
    """
    from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

    if context.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS or context.request is None:
        return None
    named: str | None = context.request.headers.get("mcp-session-id")
    return named


def build_app(server: Server[Any], settings: HttpSettings, port: int) -> ASGIApp:
    """Return the application: the SDK's, behind the same gate as the HTTP server's.

    Args:
        server: Of `build_server`.
        settings: For whom.
        port: That it listens on.
    """
    from mcp.server.transport_security import TransportSecuritySettings

    from chat.server.guard import Guard

    hosts = [f"{name}:{port}" for name in LOCAL_HOSTS]
    hosts += [host for name in settings.names for host in (name, f"{name}:{port}")]
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=settings.limits.request_bytes,
        session_idle_timeout=settings.book.idle_seconds,
        max_sessions=settings.book.sessions,
        transport_security=TransportSecuritySettings(
            allowed_hosts=hosts,
            allowed_origins=[
                f"{scheme}://{host}" for host in hosts for scheme in ("http", "https")
            ],
        ),
    )
    return Guard(app, _gate(settings), lambda method, path, status: None)


def _gate(settings: HttpSettings) -> ServerSettings:
    return ServerSettings(
        hosts=(*LOCAL_HOSTS, *settings.names),
        key=settings.key,
        limits=settings.limits,
        connections=_MAX_CLIENTS,
    )


def listen(settings: HttpSettings) -> socket.socket:
    """Open the port.

    Raises:
        ConfigError: The place is taken, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        raise ConfigError(
            f"{settings.host}:{settings.port} cannot be served on ({error.strerror}): choose "
            "another place."
        ) from error


def http_server(server: Server[Any], settings: HttpSettings, port: int) -> uvicorn.Server:
    """Return what answers on an open port: `run(sockets=[listen(settings)])`.

    Args:
        server: Of `build_server`.
        settings: For whom.
        port: Of the socket.

    Raises:
        MissingDependencyError: The package `uvicorn` is not installed.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise MissingDependencyError(
            "serving over HTTP needs the package uvicorn: run pip install 'lisa-assistant[mcp]'."
        ) from error
    from chat.server.protocol import impatient_protocol

    gate = _gate(settings)
    config = uvicorn.Config(
        build_app(server, settings, port),
        http=impatient_protocol(gate.body_seconds, gate.write_seconds),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=gate.connections,
        timeout_graceful_shutdown=_CLOSING_SECONDS,
    )
    return uvicorn.Server(config)


def serve(server: Server[Any], settings: HttpSettings) -> None:
    """Serve until somebody stops it; raises what `listen` and `http_server` raise."""
    with listen(settings) as listener:
        port = listener.getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        answering = http_server(server, settings, port)
        print(f"LISA for MCP clients: http://{host}:{port}{PATH}", file=sys.stderr, flush=True)
        answering.run(sockets=[listener])
