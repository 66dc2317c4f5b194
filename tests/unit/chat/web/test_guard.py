import asyncio
import base64

import pytest

from chat.safety.keys import ApiKey
from chat.web.guard import Guard, GuardSettings


def ask(
    path: str, *, body: int = 0, key: ApiKey | None = None, any_host: bool = False, **headers: str
) -> tuple[int, dict]:
    """Send a request to a guarded app that reads the body and answers 200."""
    sent: list = []
    inside: list = []

    async def app(scope, receive, send):
        inside.append(scope["path"])
        message = await receive()
        status = 200 if message["type"] == "http.request" else 499
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive():
        return {"type": "http.request", "body": b"x" * body, "more_body": False}

    async def send(message):
        sent.append(message)

    headers = {"host": "127.0.0.1:7860", **headers}
    pairs = [(k.encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": "http", "path": path, "method": "GET", "headers": pairs}
    settings = GuardSettings(100, 1000, any_host=any_host, key=key)
    asyncio.run(Guard(app, settings)(scope, receive, send))
    assert inside or sent[0]["status"] != 200
    return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}


@pytest.mark.parametrize(
    "path",
    ["/", "/config", "/assets/x.js", "/gradio_api/queue/join", "/gradio_api/file=/tmp/a/b.png"],
)
def test_page_gets_what_it_needs(path: str):
    status, headers = ask(path)
    assert status == 200
    assert "default-src 'self'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/proxy=https://example.org/",
        "/gradio_api/file=http://127.0.0.1/",
        "/gradio_api/file=HTTPS://example.org/",
        "/gradio_api/file/etc/passwd",
        "/gradio_api/call/ask",
        "/gradio_api/run/predict",
        "/gradio_api/vibe-edit/",
        "/monitoring",
        "/docs",
    ],
)
def test_other_paths_are_closed(path: str):
    assert ask(path)[0] == 404


def test_only_this_machine_and_this_page_may_ask():
    assert ask("/", host="evil.example")[0] == 421
    assert ask("/", host="evil.example", any_host=True)[0] == 200
    assert ask("/", host="[::1]:7860")[0] == 200
    assert ask("/", origin="http://127.0.0.1:7860")[0] == 200
    assert ask("/", origin="http://evil.example")[0] == 403
    assert ask("/", origin="null")[0] == 403


def test_key_is_asked_for_as_a_password():
    key = ApiKey("right")

    def with_password(password: str) -> int:
        packed = base64.b64encode(f"anybody:{password}".encode()).decode()
        return ask("/", key=key, authorization=f"Basic {packed}")[0]

    status, headers = ask("/", key=key)
    assert status == 401 and headers["www-authenticate"].startswith("Basic")
    assert with_password("right") == 200
    assert with_password("wrong") == with_password("") == 401
    assert ask("/", key=key, authorization="Basic ???")[0] == 401
    assert ask("/gradio_api/upload", key=key)[0] == 401


def test_bodies_are_bounded():
    assert ask("/gradio_api/queue/join", **{"content-length": "101"})[0] == 413
    assert ask("/gradio_api/queue/join", **{"content-length": "-1"})[0] == 413
    assert ask("/gradio_api/queue/join", body=101)[0] == 499
    assert ask("/gradio_api/upload", body=101)[0] == 200
    assert ask("/gradio_api/upload", body=1001)[0] == 499
