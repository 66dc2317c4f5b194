"""Addresses that would lead the server where its users must not go, and hosts that mean harm."""

from __future__ import annotations

import gzip
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest

from chat.safety.fetch import FetchRules, PictureFetcher
from chat.safety.limits import SafetyLimits
from chat.safety.sources import PictureSources
from lisa.errors import ImageError
from tests.attacks.hosts import PUBLIC, FakeNetwork, Unreachable, answer, host, redirect
from tests.unit.odd_files import file_bytes, photo

LIMITS = SafetyLimits(fetch_seconds=5.0)
PNG = file_bytes(photo(), "PNG")
ADDRESS = "http://pictures.example/a.png"


def fetcher(network, limits: SafetyLimits = LIMITS, **rules) -> PictureFetcher:
    return PictureFetcher(FetchRules(**{"http": True, **rules}), limits, network)


def test_fetching_is_off_unless_somebody_turns_it_on():
    with pytest.raises(ImageError, match="fetches no addresses"):
        PictureSources(LIMITS).open("https://example.org/a.png")


# --- Where it would lead ------------------------------------------------------------------------

INSIDE = [
    "localhost",
    "localhost.",
    "LOCALHOST",
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f.1",
    "0x7f000001",
    "017700000001",
    "0177.0.0.1",
    "0",
    "0.0.0.0",
    "10.0.0.5",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fc00::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::1]",
]


@pytest.mark.parametrize("name", INSIDE)
def test_addresses_that_are_not_public(name: str):
    with pytest.raises(ImageError, match=r"not on the public|may not be asked|malformed|no host"):
        fetcher(Unreachable()).fetch(f"http://{name}/latest/meta-data")


@pytest.mark.parametrize("name", INSIDE)
def test_redirects_to_addresses_that_are_not_public(name: str):
    class Inside(FakeNetwork):
        def resolve(self, host, port, deadline):
            if host == "pictures.example":
                return [PUBLIC]
            return Unreachable().resolve(host, port, deadline)

    with host(redirect(f"http://{name}/secret")) as (port, requests):
        network = Inside(port)
        with pytest.raises(
            ImageError, match=r"not on the public|may not be asked|malformed|no hos"
        ):
            fetcher(network).fetch(ADDRESS)
    assert network.connected == [PUBLIC]
    assert len(requests) == 1


def test_one_private_address_among_public_ones():
    network = FakeNetwork(0, {"pictures.example": [[PUBLIC, "10.0.0.1"]]})
    with pytest.raises(ImageError, match="not on the public internet"):
        fetcher(network).fetch(ADDRESS)
    assert network.connected == []


def test_a_name_that_changes_its_address():
    """DNS rebinding: public when it is checked, private when it is used."""
    with host(answer(PNG)) as (port, requests):
        network = FakeNetwork(port, {"pictures.example": [[PUBLIC], ["127.0.0.1"]]})
        assert fetcher(network).fetch(ADDRESS) == PNG
        assert network.asked == ["pictures.example"]
        assert network.connected == [PUBLIC]
        assert b"Host: pictures.example\r\n" in requests[0]
        # A second picture is a second question, whose answer is checked anew.
        with pytest.raises(ImageError, match="not on the public internet"):
            fetcher(network).fetch(ADDRESS)
    assert network.connected == [PUBLIC]


def test_a_name_that_changes_its_address_between_redirects():
    with host(redirect(ADDRESS)) as (port, _):
        network = FakeNetwork(port, {"pictures.example": [[PUBLIC], ["127.0.0.1"]]})
        with pytest.raises(ImageError, match="not on the public internet"):
            fetcher(network).fetch(ADDRESS)
    assert network.connected == [PUBLIC]


def test_proxies_of_the_environment_are_not_asked(monkeypatch):
    """A proxy would look the name up again, in another place."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with host(answer(PNG)) as (port, _):
        assert fetcher(FakeNetwork(port)).fetch(ADDRESS) == PNG


# --- Odd addresses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "ftp://example.org/a.png",
        "dict://example.org/",
        "data:image/png;base64,AAAA",
        "//example.org/a.png",
        "/etc/passwd",
        "http:/example.org",
        "http:///a.png",
        "http://",
        "https://example.org:22/",
        "http://example.org:6379/",
        "http://example.org:99999/",
        "http://example.org:0/",
        "http://example.org\\@127.0.0.1/",
        "http://example.org\r\nHost: 127.0.0.1/",
        "http://example.org/a b",
        "http://ex\u00e4mple.org/",
        "http://127\u30020.0.1/",
        "http://[::1/",
        "http://%31%32%37.0.0.1/",
        "http://example.org/" + "a" * 3_000,
        "http://exa\0mple.org/",
    ],
)
def test_addresses_that_nobody_means_well_with(url: str):
    with pytest.raises(ImageError) as raised:
        fetcher(Unreachable()).fetch(url)
    assert "\n" not in str(raised.value)


def test_passwords_in_addresses_are_refused_and_not_repeated():
    with pytest.raises(ImageError, match="a name or a password") as raised:
        fetcher(Unreachable()).fetch("https://somebody:hunter2@example.org/a.png")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "gopher://x/", "http://a:b@example.org/", "http://example.org:22/"]
)
def test_redirects_to_odd_addresses(to: str):
    with host(redirect(to)) as (port, requests):
        network = FakeNetwork(port)
        with pytest.raises(ImageError, match=r"address"):
            fetcher(network).fetch(ADDRESS)
    assert len(requests) == 1


def test_unencrypted_addresses_are_refused_unless_allowed():
    rules = FetchRules()
    with pytest.raises(ImageError, match="not https"):
        rules.check("http://pictures.example/a.png")


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://example.org/a", True),
        ("https://EXAMPLE.org./a", True),
        ("https://img.pictures.example/a", True),
        ("https://pictures.example/a", False),
        ("https://example.org.evil.com/a", False),
        ("https://evilexample.org/a", False),
        ("https://evilpictures.example/a", False),
    ],
)
def test_hosts_that_only_look_like_allowed_ones(url: str, allowed: bool):
    rules = FetchRules(hosts=("example.org", "*.pictures.example"))
    if allowed:
        assert rules.check(url).scheme == "https"
    else:
        with pytest.raises(ImageError, match="may not be asked"):
            rules.check(url)


# --- Hosts that mean harm -----------------------------------------------------------------------


def test_redirects_without_end():
    with host(redirect(ADDRESS)) as (port, requests):
        with pytest.raises(ImageError, match="redirects more than 3 times"):
            fetcher(FakeNetwork(port)).fetch(ADDRESS)
    assert len(requests) == 4


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_host_that_sends_a_byte_now_and_then(begin: bytes):
    """Each byte comes soon enough; only the whole takes for ever."""

    def drip(connection: socket.socket, request: bytes) -> None:
        connection.sendall(begin)
        for _ in range(200):
            time.sleep(0.05)
            connection.sendall(b"x")

    with host(drip) as (port, _):
        start = time.monotonic()
        limits = SafetyLimits(fetch_seconds=1.0)
        with pytest.raises(ImageError, match="within 1 seconds"):
            fetcher(FakeNetwork(port), limits).fetch(ADDRESS)
    assert time.monotonic() - start < 5


def test_a_host_that_says_nothing():
    with host(lambda connection, request: time.sleep(3)) as (port, _):
        limits = SafetyLimits(fetch_seconds=0.5)
        with pytest.raises(ImageError, match=r"within 0\.5 seconds"):
            fetcher(FakeNetwork(port), limits).fetch(ADDRESS)


def test_a_name_that_is_never_found(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **words: time.sleep(3) or [])
    limits = SafetyLimits(fetch_seconds=0.5)
    start = time.monotonic()
    with pytest.raises(ImageError, match="no host"):
        fetcher(Unreachable(), limits).fetch(ADDRESS)
    assert time.monotonic() - start < 2.5


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_without_end(chunked: bool):
    sent = 0

    def pour(connection: socket.socket, request: bytes) -> None:
        nonlocal sent
        head = "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"
        connection.sendall(
            f"{head}{'Transfer-Encoding: chunked' if chunked else 'X: y'}\r\n\r\n".encode()
        )
        block = (b"10000\r\n" + bytes(65_536) + b"\r\n") if chunked else bytes(65_536)
        for _ in range(2_000):
            connection.sendall(block)
            sent += len(block)

    with host(pour) as (port, _):
        limits = SafetyLimits(upload_bytes=1_000_000)
        with pytest.raises(ImageError, match="more than 1,000,000 bytes"):
            fetcher(FakeNetwork(port), limits).fetch(ADDRESS)
    # What lies in the buffers of both sockets has been sent, too.
    assert sent < 40_000_000


def test_a_body_that_announces_too_much():
    with host(answer(PNG, Content_Length="20000001")) as (port, _):
        with pytest.raises(ImageError, match="more than 20,000,000 bytes"):
            fetcher(FakeNetwork(port)).fetch(ADDRESS)


def test_a_body_that_breaks_off():
    with host(answer(PNG, Content_Length=str(len(PNG) + 1))) as (port, _):
        with pytest.raises(ImageError, match="breaks off"):
            fetcher(FakeNetwork(port)).fetch(ADDRESS)


def test_a_packed_body():
    packed = gzip.compress(bytes(50_000_000))
    with host(answer(packed, Content_Encoding="gzip")) as (port, requests):
        with pytest.raises(ImageError, match="packed"):
            fetcher(FakeNetwork(port)).fetch(ADDRESS)
    assert b"Accept-Encoding: identity\r\n" in requests[0]


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + b"SSH-2.0-OpenSSH\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"",
    ],
    ids=["headers", "line", "continue", "ssh", "nothing"],
)
def test_a_host_that_speaks_something_else(head: bytes):
    with host(lambda connection, request: connection.sendall(head)) as (port, _):
        with pytest.raises(ImageError, match="breaks off"):
            fetcher(FakeNetwork(port)).fetch(ADDRESS)


@pytest.mark.parametrize(
    "status", ["404 Not Found", "401 Unauthorized", "204 No Content", "206 Part"]
)
def test_a_host_that_refuses(status: str):
    with host(answer(PNG, status)) as (port, _):
        with pytest.raises(ImageError, match=f"status {status[:3]}"):
            fetcher(FakeNetwork(port)).fetch(ADDRESS)


def test_a_host_that_closes_behind_its_body():
    """Most hosts do; without a length, the end of the connection is the end of the body."""

    def send(connection: socket.socket, request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + PNG)

    with host(send) as (port, _):
        assert fetcher(FakeNetwork(port)).fetch(ADDRESS) == PNG


def test_the_picture_decides_what_it_is_not_its_header():
    def opened(body: bytes, kind: str):
        with host(answer(body, Content_Type=kind)) as (port, _):
            return PictureSources(LIMITS, fetcher(FakeNetwork(port))).open(ADDRESS)

    assert opened(PNG, "text/html").size == photo().size
    with pytest.raises(ImageError, match="not a picture"):
        opened(b"<script>alert(1)</script>", "image/png")


@pytest.mark.parametrize("name", ["pictures.example", "other.example"])
def test_a_certificate_of_somebody_else(name: str, tmp_path: Path):
    """The connection goes to an address, but the certificate has to be for the name."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    made = "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem"
    words = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run(
        ["openssl", *made.split(), *words], cwd=tmp_path, check=True, capture_output=True
    )
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    class Trusting(FakeNetwork):
        def trust(self) -> ssl.SSLContext:
            return ssl.create_default_context(cafile=tmp_path / "cert.pem")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            connection, _ = listener.accept()
            try:
                with own.wrap_socket(connection, server_side=True) as secure:
                    secure.recv(4096)
                    answer(PNG)(secure, b"")
            except OSError:
                pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        network = Trusting(listener.getsockname()[1])
        address = "https://pictures.example/a.png"
        if name == "pictures.example":
            assert fetcher(network).fetch(address) == PNG
        else:
            with pytest.raises(ImageError, match="SSLCertVerificationError"):
                fetcher(network).fetch(address)
        thread.join(10)
