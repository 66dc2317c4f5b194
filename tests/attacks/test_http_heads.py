"""What strangers may try with the head of a request, and without the key of `lisa serve`."""

from __future__ import annotations

import json

import pytest

from chat.safety.keys import ApiKey, redacted_logs
from chat.server.settings import ServerSettings
from tests.attacks.http_requests import JSON, POST, post, raw, refusal
from tests.unit.chat.server.scripted import (
    KEY,
    ScriptedPipeline,
    asked,
    data_url,
    served,
)

# --- Heads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"content-length: 2\r\ncontent-length: 30\r\n\r\n{}", b"400"),
        (b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"transfer-encoding: identity, chunked\r\n\r\n0\r\n\r\n", b"501"),
        (b"content-length: -2\r\n\r\n{}", b"400"),
        (b"content-length: 0x2\r\n\r\n{}", b"400"),
        (b"content-length : 2\r\n\r\n{}", b"400"),
        (b"content-type: text/plain\r\ncontent-length: 2\r\n\r\n{}", b"400"),
        (b"host: evil.example\r\ncontent-length: 2\r\n\r\n{}", b"400"),
    ],
    ids=[
        "two lengths", "length and chunks", "unknown coding", "negative", "hex", "blank",
        "two types", "two hosts",
    ],
)  # fmt: skip
def test_requests_that_servers_in_a_row_would_read_differently_are_refused(server, head, status):
    answer = raw(server, POST + JSON + head)
    codes = {b"400", status}
    assert answer.split(b" ")[1] in codes, answer[:200]
    # Nothing behind it is taken for another request.
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_smuggled_request_is_never_run(server):
    inner = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n"
    head = b"content-length: %d\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" % (5 + len(inner))
    answer = raw(server, POST + JSON + head + inner)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"lisa_requests_total" not in answer


@pytest.mark.parametrize(
    "head",
    [
        b"".join(b"x-%d: a\r\n" % number for number in range(5000)) + b"\r\n",
        b"x: " + b"a" * 100_000 + b"\r\n\r\n",
        b"x: a\0b\r\n\r\n",
        b"\xff\xff\xff: a\r\n\r\n",
    ],
    ids=["many", "long", "nul", "binary"],
)
def test_abused_headers_are_refused(server, head):
    try:
        answer = raw(server, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n" + head)
    except ConnectionResetError:
        return  # hung up while we were still sending
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))


def test_another_name_for_this_machine_is_refused(server):
    """A web page may give its own name our address, and be local in the eyes of its browser."""
    with server.client() as client:
        answer = client.get("/v1/models", headers={"host": f"evil.example:{server.port}"})
        assert refusal(answer, 421)
        assert client.get("/v1/models", headers={"host": f"localhost:{server.port}"}).is_success


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/v1/models/..%2f..%2fetc%2fpasswd",
        "/docs/../../../etc/passwd",
        "/static/../chat/server/app.py",
        "/v1/models/%00",
        "//etc/passwd",
    ],
)
def test_paths_lead_to_routes_only(server, path):
    answer = raw(
        server,
        f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode(),
    )
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))
    assert b"root:" not in answer


def test_a_web_page_may_not_ask(server):
    asks = {
        "origin": "https://evil.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    with server.client() as client:
        preflight = client.options("/v1/chat/completions", headers=asks)
        simple = client.get("/v1/models", headers={"origin": "https://evil.example"})
    assert preflight.status_code == 405
    for answer in (preflight, simple):
        assert not any(name.startswith("access-control-") for name in answer.headers)


def test_only_the_allowed_page_may_ask():
    settings = ServerSettings(origins=("https://good.example",), key=ApiKey(KEY))
    asks = {"access-control-request-method": "POST"}
    with served(settings=settings) as server, server.client() as client:
        answers = {
            page: client.options(
                "/v1/chat/completions", headers={"origin": f"https://{page}.example"} | asks
            ).headers.get("access-control-allow-origin")
            for page in ("good", "evil")
        }
    assert answers == {"good": "https://good.example", "evil": None}


# --- Keys -----------------------------------------------------------------------------------------

ROUTES = [
    ("GET", "/v1/models"),
    ("GET", "/v1/models/lisa-nano"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/segment"),
    ("POST", "/v1/tags"),
    ("POST", "/v1/relations"),
    ("GET", "/metrics"),
    ("GET", "/readyz"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/nowhere"),
    ("GET", "/healthz/../metrics"),
    ("OPTIONS", "/v1/chat/completions"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nothing_opens_without_the_key(guarded, method, path):
    keys = [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {KEY}",
        KEY,
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
    ]
    for key in keys:
        lines = [f"{method} {path} HTTP/1.1", "host: localhost", "connection: close"]
        lines += [] if key is None else [f"authorization: {key}"]
        answer = raw(guarded, ("\r\n".join(lines) + "\r\n\r\n").encode())
        assert answer.startswith(b"HTTP/1.1 401"), (key, answer[:100])
        assert KEY.encode() not in answer


def test_every_route_that_is_described_is_tried_without_a_key(guarded):
    with guarded.client() as client:
        described = client.get("/openapi.json").json()["paths"]
    names = {path.replace("{name}", "lisa-nano") for path in described} - {"/healthz"}
    assert names <= {path for _, path in ROUTES}


def test_a_health_check_needs_no_key(guarded):
    assert raw(
        guarded, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    ).startswith(b"HTTP/1.1 200")


def test_two_keys_are_one_too_many(guarded):
    head = f"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n"
    answer = raw(guarded, f"{head}authorization: Bearer x\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400")


def test_neither_key_nor_picture_reaches_a_log(capfd):
    def script(image, conversation):
        raise RuntimeError(f"broken with {KEY} and {data_url(image)}")

    with redacted_logs(KEY):
        with served(ScriptedPipeline(script), ServerSettings(key=ApiKey(KEY))) as server:
            answer = post(server, json.dumps(asked()))
    logged = capfd.readouterr().err
    assert answer.status_code == 500
    assert "RuntimeError: broken with" in logged
    assert KEY not in logged + answer.text
    assert "iVBOR" not in logged + answer.text
