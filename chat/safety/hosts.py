"""Which host is this machine."""

from __future__ import annotations

from ipaddress import ip_address

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
"""Names by which clients on this machine address a server, as they stand in a request."""


def is_local(host: str) -> bool:
    """Tell whether a name or an address, IPv6 in brackets or not, can be this machine alone."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
