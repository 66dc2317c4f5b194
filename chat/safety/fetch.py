"""Fetches pictures from addresses that strangers name, without going where they must not.

A server stands in places that its users cannot reach: beside other servers, behind a firewall, next
to the cloud's own service for secrets. So every address that a name stands for must be public, the
connection goes to the very address that was checked, and every redirect is checked anew.
"""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from chat.safety.addresses import is_numeric_host, is_public
from chat.safety.limits import SafetyLimits
from chat.safety.sockets import Deadline, Network, connected
from lisa import __version__
from lisa.errors import ConfigError, ImageError

_MAX_URL_CHARACTERS = 2048
_PORTS = {"http": 80, "https": 443}
_REDIRECTS = (301, 302, 303, 307, 308)
_CHUNK_BYTES = 65_536
# Printable ASCII without the characters about which readers of URLs disagree.
_URL = re.compile(r"[!#-;=?-\[\]_a-z~]+", re.IGNORECASE)
_INSTEAD = "send the picture as a data URL"


@dataclass(frozen=True)
class FetchRules:
    """What may be fetched; a server without rules fetches nothing.

    Attributes:
        hosts: Names of hosts, such as "example.org", or "*.example.org" for all below it; empty for
            every public host.
        http: Whether unencrypted addresses may be fetched, too.
        ports: Allowed besides 443 and, with `http`, 80.
    """

    hosts: tuple[str, ...] = ()
    http: bool = False
    ports: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse hosts that would never match."""
        wrong = [host for host in self.hosts if not re.fullmatch(r"(\*\.)?[\w-]+(\.[\w-]+)*", host)]
        if wrong:
            raise ConfigError(
                f"{wrong[0]!r} is not the name of a host: write example.org or *.example.org."
            )

    def check(self, url: str) -> SplitResult:
        """Return the parts of a URL that may be fetched as far as its text tells.

        Raises:
            ImageError: If the rules forbid it.
        """
        shown = repr(url[:80])
        if len(url) > _MAX_URL_CHARACTERS or not _URL.fullmatch(url):
            raise ImageError(f"the address {shown} is too long or malformed: {_INSTEAD}.")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise ImageError(f"the address {shown} is malformed: {_INSTEAD}.") from error
        schemes = ("https", "http") if self.http else ("https",)
        if parts.scheme not in schemes:
            raise ImageError(f"the address {shown} is not {' or '.join(schemes)}: {_INSTEAD}.")
        if "@" in parts.netloc:
            # Not shown: what stands there may be a password.
            raise ImageError(f"the address carries a name or a password: {_INSTEAD}.")
        allowed = {None, *(_PORTS[scheme] for scheme in schemes), *self.ports}
        if port not in allowed:
            raise ImageError(f"the address {shown} has a port that may not be used: {_INSTEAD}.")
        if not host or "%" in host or is_numeric_host(host) or not self._names(host):
            raise ImageError(f"the address {shown} has a host that may not be asked: {_INSTEAD}.")
        return parts

    def _names(self, host: str) -> bool:
        host = host.lower().rstrip(".")
        return not self.hosts or any(
            host.endswith(allowed.lower()[1:])
            if allowed.startswith("*.")
            else host == allowed.lower()
            for allowed in self.hosts
        )


class PictureFetcher:
    """Fetches what rules and limits allow.

    Args:
        rules: Hosts, ports and schemes.
        limits: Bytes, seconds and redirects.
        network: For tests.
    """

    def __init__(
        self, rules: FetchRules, limits: SafetyLimits, network: Network | None = None
    ) -> None:
        self._rules, self._limits = rules, limits
        self._network = network or Network()

    def fetch(self, url: str) -> bytes:
        """Return the bytes that an address sends; whether they are a picture, their reader decides.

        Args:
            url: An absolute URL.

        Raises:
            ImageError: If the address, or one that it redirects to, may not be fetched, or sends
                too much, too slowly, or nothing.
        """
        deadline = Deadline(self._limits.fetch_seconds)
        for _ in range(self._limits.redirects + 1):
            parts = self._rules.check(url)
            try:
                answer = self._ask(parts, deadline)
            except TimeoutError:
                _ = deadline.left  # says how long we waited
                raise ImageError(f"{parts.hostname!r} does not answer: {_INSTEAD}.") from None
            except (OSError, ssl.SSLError, http.client.HTTPException, ValueError) as error:
                raise ImageError(
                    f"{parts.hostname!r} cannot be reached or breaks off "
                    f"({type(error).__name__}): {_INSTEAD}."
                ) from error
            if isinstance(answer, bytes):
                return answer
            url = urljoin(url, answer)
        raise ImageError(
            f"the address redirects more than {self._limits.redirects} times: {_INSTEAD}."
        )

    def _ask(self, parts: SplitResult, deadline: Deadline) -> bytes | str:
        """Return the body, or the address to which the host redirects."""
        host = parts.hostname or ""
        secure = parts.scheme == "https"
        port = parts.port or _PORTS[parts.scheme]
        address = self._check(host, self._network.resolve(host, port, deadline))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with connected(self._network, address, host, port, deadline, secure=secure) as connection:
            connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", parts.netloc)
            connection.putheader("User-Agent", f"lisa-assistant/{__version__}")
            connection.putheader("Accept", "image/*")
            # Nothing is unpacked here, so nothing can unpack to more than it is.
            connection.putheader("Accept-Encoding", "identity")
            connection.putheader("Connection", "close")
            connection.endheaders()
            return self._read(connection.getresponse(), host)

    def _check(self, host: str, addresses: Sequence[str]) -> str:
        """Return the first address; one that is not public among them is one too many."""
        if not addresses:
            raise ImageError(f"there is no host {host!r}: check the address.")
        if not all(is_public(address) for address in addresses):
            raise ImageError(f"{host!r} is not on the public internet: {_INSTEAD}.")
        return addresses[0]

    def _read(self, response: http.client.HTTPResponse, host: str) -> bytes | str:
        if response.status in _REDIRECTS:
            return response.getheader("Location") or ""
        if response.status != http.HTTPStatus.OK:
            raise ImageError(f"{host!r} answers with status {response.status}: check the address.")
        if response.getheader("Content-Encoding", "identity").lower() != "identity":
            raise ImageError(f"{host!r} sends packed data: {_INSTEAD}.")
        limit = self._limits.upload_bytes
        if (response.length or 0) > limit:
            raise ImageError(self._too_long(host))
        body = bytearray()
        while chunk := response.read1(_CHUNK_BYTES):
            body += chunk
            if len(body) > limit:
                raise ImageError(self._too_long(host))
        if response.length:
            raise ImageError(f"{host!r} breaks off before its picture is whole: try again.")
        return bytes(body)

    def _too_long(self, host: str) -> str:
        return f"{host!r} sends more than {self._limits.upload_bytes:,} bytes: {_INSTEAD}."
