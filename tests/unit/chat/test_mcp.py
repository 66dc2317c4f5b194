from __future__ import annotations

import re
import sys
import time

import anyio
import numpy as np
import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from pydantic import Field

from chat.mcp_server import server as mcp_server
from chat.mcp_server.server import build_server
from chat.tools.contract import Tool, ToolArguments, ToolResult, ToolScene
from lisa.errors import ConfigError, MissingDependencyError
from lisa.masks import decode_rle
from lisa.tokens import REJECT_TOKEN
from tests.chat_script import Reply, call, plain_picture
from tests.mcp_desk import (
    CUP,
    PICTURE,
    TOOLS,
    data_url,
    ok,
    pictures,
    scripted_desk,
    scripted_server,
    scripted_tool_session,
    talk,
    texts,
    why,
)

# --- The tools ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_tools_have_schemas(mode: str):
    async def work(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == ["open_picture", "ask", "find", "make", "crop", "undo"]
        make = tools["make"].input_schema
        assert make["required"] == ["what", "box"]
        assert make["additionalProperties"] is False
        assert set(make["properties"]) == {
            *("what", "box", "fail"),
            *("session", "picture", "image", "with_images"),
        }
        assert tools["open_picture"].input_schema["required"] == ["image"]
        assert set(tools["undo"].input_schema["properties"]) == {"session", "with_images"}
        for tool in tools.values():
            assert tool.description.endswith(".")
            assert tool.output_schema["required"]
            assert all(one["description"] for one in tool.input_schema["properties"].values())

    talk(scripted_server(), work, mode)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_tools_and_questions_share_a_session(mode: str):
    script = ["It is a cup.", call("find", thing="#1"), "It is #1."]

    async def work(client: Client) -> None:
        opened = await ok(client, "open_picture", image=PICTURE)
        assert (opened["picture"], opened["data"]) == (1, {"size": [60, 80]})
        made = await ok(client, "make", **CUP)
        assert [one["label"] for one in made["segments"]] == ["#1 cup"]
        assert made["segments"][0]["box"] == [1, 2, 30, 40]
        assert (await ok(client, "ask", question="What is #1?"))["text"] == "It is a cup."
        asked = await ok(client, "ask", question="Where is #1?")
        assert [one["name"] for one in asked["segments"]] == ["#1"]
        assert [step["type"] for step in asked["data"]["steps"]] == ["tool_call", "observation"]
        undone = await ok(client, "undo")
        assert undone["data"] == {"question": "Where is #1?", "segments": ["#1 cup"]}

    talk(scripted_server(script), work, mode)


def test_the_model_hears_of_what_tools_found():
    session = scripted_tool_session(["Yes."])
    session.add_picture(plain_picture())
    session.use("make", CUP)
    session.ask("Is it a cup?")
    assert session._speaker.heard[0].messages[-1].text == "(#1 cup)\nIs it a cup?"


def test_masks_come_as_run_lengths_and_on_demand_as_pictures():
    async def work(client: Client) -> None:
        await client.call_tool("open_picture", {"image": PICTURE})
        plain = await client.call_tool("make", CUP)
        assert pictures(plain) == []
        shown = await client.call_tool(
            "make", {**CUP, "box": [40, 20, 60, 50], "with_images": True}
        )
        overlay, mask = pictures(shown)
        assert (overlay.mode, overlay.size) == ("RGB", (80, 60))
        assert overlay.getpixel((50, 45)) != (120, 120, 120)
        assert overlay.getpixel((5, 55)) == (120, 120, 120)
        rle = shown.structured_content["segments"][0]["mask"]
        assert np.array_equal(np.asarray(mask), decode_rle(rle))
        assert np.flatnonzero(np.asarray(mask).any(axis=0)).tolist() == list(range(40, 60))

    talk(scripted_server(), work)


def test_large_overlays_are_scaled_down_and_masks_are_not():
    async def work(client: Client) -> None:
        wide = data_url(plain_picture(size=(3200, 200)))
        shown = await client.call_tool("make", {**CUP, "image": wide, "with_images": True})
        assert [one.size for one in pictures(shown)] == [(1568, 98), (3200, 200)]

    talk(scripted_server(), work)


def test_new_pictures_are_sent():
    async def work(client: Client) -> None:
        await ok(client, "make", image=PICTURE, **CUP)
        shown = await client.call_tool("crop", {"segment": "#1", "with_images": True})
        made = shown.structured_content["pictures"]
        assert [(one["number"], one["name"]) for one in made] == [(2, "#1 cup up close")]
        assert made[0]["size"] == [pictures(shown)[-1].height, pictures(shown)[-1].width]
        # A tool works on the picture that is named, else on the one that was looked at last.
        assert "picture 2" in await why(client, "crop", segment="dog", picture=2)

    talk(scripted_server(), work)


def test_absent_things_are_told():
    async def work(client: Client) -> None:
        result = await client.call_tool("ask", {"question": "Segment the dog.", "image": PICTURE})
        assert result.structured_content["segments"][0]["status"] == "absent"
        assert result.structured_content["segments"][0]["mask"] is None
        assert "absent: dog" in texts(result)

    talk(scripted_server([Reply(f"There is no dog {REJECT_TOKEN}.")]), work)


def test_pictures_are_told_apart_by_what_they_show():
    async def work(client: Client) -> None:
        other = data_url(plain_picture(40))
        assert (await ok(client, "open_picture", image=PICTURE))["picture"] == 1
        assert (await ok(client, "open_picture", image=other))["picture"] == 2
        assert (await ok(client, "make", image=PICTURE, **CUP))["picture"] == 1
        assert (await ok(client, "make", picture=2, **CUP))["segments"][0]["picture"] == 2
        assert "there is no picture 3" in await why(client, "make", picture=3, **CUP)

    talk(scripted_server(), work)


# --- Mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("nonsense", {}, "there is no tool 'nonsense': use one of open_picture, ask, find"),
        (
            "make",
            {"what": 3},
            r"make does not take these arguments \(what: .*; box: Field required",
        ),
        ("make", {**CUP, "extra": 1}, "extra: Extra inputs are not permitted"),
        ("make", {**CUP, "fail": True}, "it broke"),
        ("make", {**CUP, "with_images": "yes"}, "with_images: Input should be a valid boolean"),
        ("make", {**CUP, "picture": 0}, "picture: Input should be greater than"),
        ("undo", {"picture": 1}, "picture: Extra inputs are not permitted"),
        ("undo", {}, "there is no question to take back"),
        ("ask", {"question": " "}, "the question is empty"),
        ("ask", {"question": "a" * 8_001}, "8,001 characters"),
        ("open_picture", {}, "open_picture needs 'image'"),
        ("open_picture", {"image": "https://example.org/a.png"}, "fetches no addresses"),
        ("open_picture", {"image": "/etc/passwd"}, "not a picture that this server opens"),
        ("open_picture", {"image": "data:image/png;base64,AAAA"}, "not a picture that can be read"),
        ("find", {"thing": "#7"}, "there is no segment #7"),
        ("save", {"name": "a"}, "there is no tool 'save'"),
    ],
)
def test_mistakes_are_one_sentence_and_change_nothing(name: str, arguments: dict, words: str):
    async def work(client: Client) -> None:
        await ok(client, "open_picture", image=PICTURE)
        result = await client.call_tool(name, arguments)
        assert result.is_error
        assert re.search(words, texts(result)), texts(result)
        assert (await ok(client, "make", **CUP))["segments"][0]["name"] == "#1"

    talk(scripted_server(), work)


def test_a_call_without_a_picture_says_so():
    async def work(client: Client) -> None:
        assert "there is no picture yet" in await why(client, "make", **CUP)
        assert "there is no picture yet" in await why(client, "ask", question="What?")

    talk(scripted_server(), work)


class NoArguments(ToolArguments):
    """None."""


class BreakTool(Tool[NoArguments]):
    """Breaks as a mistake of our own would."""

    name = "break"
    description = "Breaks."
    arguments = NoArguments

    def run(self, arguments: NoArguments, scene: ToolScene) -> ToolResult:
        raise KeyError("hunter2")


def test_our_own_mistakes_are_not_shown_but_logged(caplog):
    async def work(client: Client) -> None:
        said = await why(client, "break", image=PICTURE)
        assert said == "the server failed at this (KeyError); its log says more."

    talk(scripted_server(tools=[BreakTool()]), work)
    assert "hunter2" in caplog.text


def test_models_that_cannot_be_loaded_are_told():
    def make_desk():
        raise ConfigError("there are no weights: download them.")

    async def work(client: Client) -> None:
        assert await why(client, "ask", question="a") == "there are no weights: download them."
        with pytest.raises(MCPError, match="there are no weights"):
            await client.list_tools()

    talk(build_server(make_desk, connection_of=lambda context: "one"), work)


def test_a_slip_while_loading_is_not_shown(caplog):
    def make_desk():
        raise KeyError("hunter2")

    async def work(client: Client) -> None:
        assert await why(client, "undo") == (
            "the server failed at this (KeyError); its log says more."
        )

    talk(build_server(make_desk, connection_of=lambda context: "one"), work)
    assert "hunter2" in caplog.text


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp.server.lowlevel", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'lisa-assistant\[mcp\]'"):
        build_server(scripted_desk, connection_of=lambda context: None)


# --- Long calls ---------------------------------------------------------------------------------


class WaitArguments(ToolArguments):
    """Arguments of `WaitTool`."""

    seconds: float = Field(description="To wait.")


class WaitTool(Tool[WaitArguments]):
    """Waits, and stops when it is told to."""

    name = "wait"
    description = "Waits."
    arguments = WaitArguments
    stopped = 0

    def run(self, arguments: WaitArguments, scene: ToolScene) -> ToolResult:
        end = time.monotonic() + arguments.seconds
        while time.monotonic() < end:
            time.sleep(0.01)
            if scene.cancellation.is_cancelled:
                type(self).stopped += 1
                scene.cancellation.check()
        return ToolResult("waited", {})


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_long_calls_report_progress(mode: str, monkeypatch):
    monkeypatch.setattr(mcp_server, "HEARTBEAT_SECONDS", 0.05)
    script = [call("wait", seconds=0.3), "It took a while."]
    heard: list[tuple[float, str]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, message))

    async def work(client: Client) -> None:
        arguments = {"question": "Wait.", "image": PICTURE}
        await client.call_tool("ask", arguments, progress_callback=hear)

    talk(scripted_server(script, tools=[WaitTool()]), work, mode)
    seconds, words = zip(*heard, strict=True)
    assert list(seconds) == sorted(seconds)
    assert words.count("calls wait") >= 3
    assert "".join(word for word in words if word != "calls wait") == "It took a while."


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_a_call_that_is_taken_back_stops(mode: str):
    script = [call("wait", seconds=20), "It is a cup."]
    WaitTool.stopped = 0

    async def work(client: Client) -> None:
        await ok(client, "open_picture", image=PICTURE)
        with anyio.move_on_after(0.5):
            await client.call_tool("ask", {"question": "Wait."})
        # The session is as it was before, and free for the next question.
        assert (await ok(client, "ask", question="What is it?"))["text"] == "It is a cup."
        assert (await ok(client, "undo"))["data"]["question"] == "What is it?"
        assert "no question" in await why(client, "undo")

    talk(scripted_server(script, tools=[WaitTool()]), work, mode)
    assert WaitTool.stopped == 1


def test_calls_at_once_wait_for_each_other():
    async def work(client: Client) -> None:
        await ok(client, "open_picture", image=PICTURE)
        async with anyio.create_task_group() as group:
            for place in range(6):
                box = [10 * place, 0, 10 * place + 10, 60]
                group.start_soon(client.call_tool, "make", {"what": f"part {place}", "box": box})
                group.start_soon(client.call_tool, "wait", {"seconds": 0.05})
        found = await ok(client, "find", thing="#6")
        assert found["data"] == {"name": "#6"}

    talk(scripted_server(tools=[*TOOLS, WaitTool()]), work)


def test_too_many_calls_are_refused(monkeypatch):
    monkeypatch.setattr(mcp_server, "MAX_WAITING", 2)

    async def work(client: Client) -> None:
        await ok(client, "open_picture", image=PICTURE)
        said = []

        async def wait() -> None:
            result = await client.call_tool("wait", {"seconds": 0.3})
            said.append(texts(result))

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(wait)
        assert (
            sorted(said) == ["the server is busy: try again in a few seconds."] * 2 + ["waited"] * 2
        )
        assert (await ok(client, "wait", seconds=0.0))["text"] == "waited"

    talk(scripted_server(tools=[WaitTool()]), work)
