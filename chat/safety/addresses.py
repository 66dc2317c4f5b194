"""Which addresses of the internet a server may be sent to."""

from __future__ import annotations

import ipaddress

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Networks that carry an IPv4 address in an IPv6 one, or lead to whatever a tunnel leads to. The
# second NAT64 prefix is for local use; the first is how IPv6-only machines reach IPv4 at all.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_TUNNELS = tuple(
    ipaddress.IPv6Network(network)
    for network in ("::/96", "::ffff:0:0/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")
)


def is_public(address: str) -> bool:
    """Tell whether an address is one of the open internet.

    Private, loopback, link-local, shared, multicast, reserved and unspecified addresses are not,
    nor are IPv6 forms that hide an IPv4 address; behind NAT64 the hidden address decides.

    Args:
        address: An IP address as numbers; anything else is not public.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            return _is_open(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
        if ip.is_site_local or any(ip in network for network in _TUNNELS):
            return False
    return _is_open(ip)


def _is_open(ip: _Address) -> bool:
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def is_numeric_host(host: str) -> bool:
    """Tell whether a host would be read as an IPv4 address in an odd form, such as 127.1 or 0x7f.1.

    Programs disagree about those, so nobody who means well writes them.

    Args:
        host: Of a URL; without the brackets of IPv6.
    """
    last = host.rstrip(".").rpartition(".")[2].lower()
    looks_numeric = last.isdigit() or (
        last.startswith("0x") and all(digit in "0123456789abcdef" for digit in last[2:])
    )
    if not looks_numeric:
        return False
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return True
    return False
