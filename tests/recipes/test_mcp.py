"""`lisa mcp` as programs use it: the official client, over real sockets and standard streams.

The first part has a scripted model; the second one starts the command with lisa-nano.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx2
import numpy as np
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from PIL import Image

import lisa
from chat.mcp_server.http import PATH, HttpSettings, connection_of, http_server, listen
from chat.safety.keys import KEY_VARIABLE, ApiKey
from chat.safety.limits import SafetyLimits
from lisa.masks import decode_rle
from lisa.tokens import SEG_TOKEN
from tests.chat_script import plain_picture
from tests.mcp_desk import CUP, PICTURE, data_url, ok, pictures, scripted_server, texts, why

MODES = ["legacy", "auto"]
KEY = "sk-correct-horse"


@contextlib.contextmanager
def serving(settings: HttpSettings | None = None, **options: Any) -> Iterator[str]:
    """Serve a scripted model on a free port; yields the address."""
    settings = replace(settings or HttpSettings(), port=0)
    with listen(settings) as listener:
        port = listener.getsockname()[1]
        scripted = scripted_server(connection_of=connection_of, **options)
        server = http_server(scripted, settings, port)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}{PATH}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@contextlib.asynccontextmanager
async def client_of(url: str, mode: str = "auto", **headers: str) -> AsyncIterator[Client]:
    """The official client, with headers of one's own."""
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            yield client


def run(work: Callable[[], Any], seconds: float = 120) -> None:
    async def bounded() -> None:
        with anyio.fail_after(seconds):
            await work()

    anyio.run(bounded)


# --- HTTP, with a script ------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_conversation_over_http(mode: str):
    async def work() -> None:
        async with client_of(url, mode) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert names[:2] == ["open_picture", "ask"]
            opened = await ok(client, "open_picture", image=PICTURE)
            # Old clients have a connection, new ones keep the handle of their session.
            assert (opened["session"] is None) == (mode == "legacy")
            mine = {} if mode == "legacy" else {"session": opened["session"]}
            shown = await client.call_tool("make", {**CUP, **mine, "with_images": True})
            overlay, mask = pictures(shown)
            assert overlay.size == mask.size == (80, 60)
            rle = shown.structured_content["segments"][0]["mask"]
            assert np.array_equal(np.asarray(mask), decode_rle(rle))
            assert (await ok(client, "ask", question="What?", **mine))["text"] == "It is a cup."
            assert (await ok(client, "undo", **mine))["data"]["segments"] == ["#1 cup"]
            assert "no question" in await why(client, "undo", **mine)

    with serving(script=["It is a cup."]) as url:
        run(work)


@pytest.mark.parametrize("mode", MODES)
def test_clients_at_once_keep_to_themselves(mode: str):
    def script(picture, conversation) -> str:
        return f"The picture is {picture.image.getpixel((0, 0))[0]}."

    async def one(shade: int, url: str) -> None:
        async with client_of(url, mode) as client:
            opened = await ok(client, "open_picture", image=data_url(plain_picture(shade)))
            mine = {} if mode == "legacy" else {"session": opened["session"]}
            for place in range(3):
                made = await ok(client, "make", what="cup", box=[place * 20, 0, 80, 60], **mine)
                assert made["segments"][0]["name"] == f"#{place + 1}"
                asked = await ok(client, "ask", question="How bright?", **mine)
                assert asked["text"] == f"The picture is {shade}."

    async def work() -> None:
        async with anyio.create_task_group() as group:
            for shade in range(8):
                group.start_soon(one, shade * 20, url)

    with serving(script=script) as url:
        run(work)


@pytest.mark.parametrize("mode", MODES)
def test_progress_over_http(mode: str):
    heard: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")

    async def work() -> None:
        async with client_of(url, mode) as client:
            arguments = {"question": "What?", "image": PICTURE}
            await client.call_tool("ask", arguments, progress_callback=hear)

    with serving(script=["It is a cup."], pause=0.02) as url:
        run(work)
    assert "".join(heard) == "It is a cup."


@pytest.mark.parametrize("mode", MODES)
def test_only_those_with_the_key(mode: str):
    async def work() -> None:
        async with client_of(url, mode, authorization=f"Bearer {KEY}") as client:
            await ok(client, "open_picture", image=PICTURE)
        for headers in ({}, {"authorization": f"Bearer {KEY}x"}, {"authorization": KEY}):
            with pytest.raises((MCPError, httpx2.HTTPError, ExceptionGroup)):
                async with client_of(url, mode, **headers) as client:
                    await client.list_tools()
        async with httpx2.AsyncClient() as http:
            refused = await http.post(url, json={})
            assert refused.status_code == 401
            assert KEY not in refused.text

    with serving(HttpSettings(key=ApiKey(KEY))) as url:
        run(work)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:80"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"origin": "null"}, 403),
        ({"content-type": "text/plain"}, 415),
    ],
)
def test_requests_of_foreign_web_pages(headers: dict[str, str], status: int):
    """A page in the browser of somebody who runs the server must not use it."""
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    usual = {"accept": "application/json, text/event-stream"}
    with serving() as url, httpx2.Client(headers=usual) as http:
        assert http.post(url, json=asked, headers=headers).status_code == status
        # Nothing lets a browser read answers of another origin.
        options = http.options(url, headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in options.headers


def test_one_client_cannot_use_the_session_of_another():
    async def work() -> None:
        async with client_of(url, "legacy") as first, client_of(url) as second:
            await ok(first, "open_picture", image=PICTURE)
            assert "names no session" in await why(second, "make", **CUP)
            opened = await ok(second, "open_picture", image=PICTURE)
            assert (await ok(second, "make", session=opened["session"], **CUP))["segments"]
            assert "no question" in await why(first, "undo")
            found = await why(first, "find", thing="#1")
            assert "there is no segment #1" in found

    with serving() as url:
        run(work)


def test_too_large_requests_are_refused_before_they_are_read():
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"a": "x" * 10_000}}
    limits = SafetyLimits(request_bytes=10_000)
    with serving(HttpSettings(limits=limits)) as url:
        assert httpx2.post(url, json=asked).status_code == 413


@pytest.mark.parametrize("mode", MODES)
def test_pictures_of_noise_fit_into_what_clients_take(mode: str):
    """The SDK's client refuses answers above 1 MiB, and noise is the worst that PNG can meet."""
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3)).astype(np.uint8)

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        pass

    async def work() -> None:
        async with client_of(url, mode) as client:
            arguments = {"question": "What?", "image": data_url(Image.fromarray(noise))}
            shown = await client.call_tool(
                "ask", {**arguments, "with_images": True}, progress_callback=hear
            )
            overlay, mask = pictures(shown)
            assert 200 < overlay.width < 1200
            assert mask.size == (1200, 900)

    with serving(script=[f"It is noise {SEG_TOKEN}."], pause=0.01) as url:
        run(work)


# --- The command, with lisa-nano ----------------------------------------------------------------

DEMO = Path(lisa.__file__).parent / "nano" / "demo"


def command(*words: object) -> list[str]:
    return ["-m", "lisa.cli", "mcp", "--offline", *map(str, words)]


async def eight_turns(client: Client, image: str, **session: str) -> None:
    """Tags, reasoning, a follow-up, a relation, a count, an absent thing, undo, save and reload."""
    opened = await ok(client, "open_picture", image=image, **session)
    mine = {} if opened["session"] is None else {"session": opened["session"]}

    async def ask(question: str) -> Any:
        return await ok(client, "ask", question=question, **mine)

    def steps(answer: Any, kind: str, key: str) -> list[str]:
        return [step[key] for step in answer["data"]["steps"] if step["type"] == kind]

    tagged = await ask("What is in the picture?")
    assert steps(tagged, "tool_call", "tool") == ["tag"]
    assert "avocado" in tagged["text"]

    reasoned = await ask("Which of these is mashed into guacamole?")
    (avocado,) = [one for one in reasoned["segments"] if one["origin"] == "answer"]
    assert avocado["status"] == "found"
    name = avocado["name"]
    mask = decode_rle(avocado["mask"])
    rows, columns = np.nonzero(mask)
    assert 140 < columns.mean() < 256 and 150 < rows.mean() < 230

    followed = await ask(f"How large is {name}?")
    assert steps(followed, "tool_call", "tool") == ["measure"]
    share = f"{100 * mask.mean():.1f} %"
    assert share in steps(followed, "observation", "text")[-1]
    assert share in followed["text"]

    related = await ask(f"What is above {name}?")
    assert steps(related, "tool_call", "tool") == ["relate"]
    assert "above" in steps(related, "observation", "text")[-1]

    counted = await ask("How many fruits are there?")
    assert steps(counted, "tool_call", "tool") == ["measure"]
    assert steps(counted, "observation", "text")[-1].partition(":")[0] in counted["text"]

    absent = await ask("Is there a zebra?")
    assert [one["status"] for one in absent["segments"]] == ["absent"]

    undone = await ok(client, "undo", **mine)
    assert undone["data"]["question"] == "Is there a zebra?"

    await ok(client, "save", name="dialogue", **mine)
    assert (await ok(client, "undo", **mine))["data"]["question"].startswith("How many")
    loaded = await ok(client, "load", name="dialogue", **mine)
    assert loaded["data"]["turns"] == 5
    again = next(one for one in loaded["segments"] if one["name"] == name)
    assert again["mask"] == avocado["mask"]
    followed = await ask(f"How large is {name}?")
    assert share in steps(followed, "observation", "text")[-1]


@pytest.mark.slow
def test_eight_turns_over_standard_streams(tmp_path: Path):
    words = command("--root", DEMO, "--save-dir", tmp_path / "saved")
    environment = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    started = StdioServerParameters(command=sys.executable, args=words, env=environment)

    async def work() -> None:
        with (tmp_path / "log").open("w") as log:
            async with Client(stdio_client(started, errlog=log)) as client:
                names = {tool.name for tool in (await client.list_tools()).tools}
                assert names >= {"tag", "caption", "relate", "describe_region", "masks", "measure"}
                assert names >= {"segment", "crop", "edit", "ask", "open_picture", "save", "load"}
                await eight_turns(client, "scene.jpg")
                assert "no file below" in await why(client, "open_picture", image="../config.json")

    run(work, seconds=1800)
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert (tmp_path / "saved" / "dialogue" / "session.json").is_file()


@pytest.mark.slow
def test_eight_turns_over_http(tmp_path: Path):
    words = command("--http", "127.0.0.1:0", "--save-dir", tmp_path)
    environment = {**os.environ, KEY_VARIABLE: KEY}
    picture = data_url(lisa.open_image(DEMO / "scene.jpg"))

    async def work(url: str) -> None:
        with pytest.raises((MCPError, httpx2.HTTPError, ExceptionGroup)):
            async with client_of(url) as client:
                await client.list_tools()
        async with client_of(url, authorization=f"Bearer {KEY}") as client:
            await eight_turns(client, picture)
            shown = await client.call_tool(
                "segment", {"box": [160, 30, 250, 130], "image": picture, "with_images": True}
            )
            assert not shown.is_error, texts(shown)
            assert [one.size for one in pictures(shown)] == [(256, 256), (256, 256)]

    with subprocess.Popen(
        [sys.executable, *words], env=environment, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stderr is not None
            said = iter(server.stderr.readline, "")
            url = next(found[0] for line in said if (found := re.search(r"http://\S+", line)))
            rest: list[str] = []
            threading.Thread(target=rest.extend, args=(server.stderr,), daemon=True).start()
            run(lambda: work(url), seconds=1800)
            assert KEY not in "".join(rest) and "Traceback" not in "".join(rest)
        finally:
            server.terminate()
            assert server.wait(30) in (0, -15, 130)
