from __future__ import annotations

import pytest

from chat.safety.addresses import is_numeric_host, is_public
from chat.safety.fetch import FetchRules, PictureFetcher
from chat.safety.limits import SafetyLimits
from lisa.errors import ConfigError, ImageError
from tests.attacks.hosts import PUBLIC, FakeNetwork, answer, host, redirect
from tests.unit.odd_files import file_bytes, photo

PNG = file_bytes(photo(), "PNG")


@pytest.mark.parametrize(
    "address", [PUBLIC, "1.1.1.1", "2606:4700::1111", "64:ff9b::101:101", "2a00:1450:4001::200e"]
)
def test_public_addresses(address: str):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "100.64.0.1",
        "240.0.0.1",
        "::1",
        "fe80::1",
        "ff02::1",
    ]
    + ["::ffff:1.1.1.1", "2002:101:101::", "64:ff9b::a00:1", "::1.1.1.1", "example.org", "", "1.1"],
)
def test_other_addresses(address: str):
    assert not is_public(address)


def test_numeric_hosts():
    odd = ["127.1", "2130706433", "0x7f.1", "0X7F000001", "0177.0.0.1", "1.2.3.4.5", "1.2.3.4."]
    assert all(map(is_numeric_host, odd))
    assert not any(
        map(is_numeric_host, ["1.2.3.4", "example.org", "a1", "1.example", "0x7g", "::1"])
    )


@pytest.mark.parametrize(
    "name", ["", "*", "https://example.org", "example.org/a", "a b", "*.", ".org"]
)
def test_rules_that_would_never_match(name: str):
    with pytest.raises(ConfigError, match="not the name of a host"):
        FetchRules(hosts=(name,))


def test_ports_may_be_allowed():
    assert FetchRules(ports=(8443,)).check("https://example.org:8443/a.png").port == 8443
    with pytest.raises(ImageError, match="a port that may not be used"):
        FetchRules().check("https://example.org:8443/a.png")
    with pytest.raises(ImageError, match="not https"):
        FetchRules().check("http://example.org/a.png")


def test_fetch_asks_as_a_browser_would():
    with host(answer(PNG)) as (port, requests):
        network = FakeNetwork(port)
        fetcher = PictureFetcher(FetchRules(http=True), SafetyLimits(), network)
        assert fetcher.fetch("http://Pictures.example/a%20b.png?size=9#part") == PNG
    head = requests[0].split(b"\r\n")
    assert head[:2] == [b"GET /a%20b.png?size=9 HTTP/1.1", b"Host: Pictures.example"]
    assert network.asked == ["pictures.example"]


def test_fetch_follows_three_redirects():
    steps = {"/1": "/2", "/2": "http://other.example/3", "/3": "4"}

    def script(connection, request: bytes) -> None:
        path = request.split()[1].decode()
        (redirect(steps[path]) if path in steps else answer(PNG))(connection, request)

    with host(script) as (port, _):
        network = FakeNetwork(port)
        fetcher = PictureFetcher(FetchRules(http=True), SafetyLimits(), network)
        assert fetcher.fetch("http://pictures.example/1") == PNG
    assert network.asked == [
        "pictures.example",
        "pictures.example",
        "other.example",
        "other.example",
    ]
    assert network.connected == [PUBLIC] * 4


def test_a_host_that_is_not_there():
    class Gone(FakeNetwork):
        def connect(self, address, port, deadline):
            raise ConnectionRefusedError

    fetcher = PictureFetcher(FetchRules(), SafetyLimits(), Gone(0))
    with pytest.raises(ImageError, match=r"cannot be reached or breaks off .Connection"):
        fetcher.fetch("https://pictures.example/a.png")
    nowhere = PictureFetcher(FetchRules(), SafetyLimits(), FakeNetwork(0, {"a.example": [[]]}))
    with pytest.raises(ImageError, match="there is no host 'a.example'"):
        nowhere.fetch("https://a.example/a.png")
