"""The web page with a scripted model behind it, and a browser in front of it, for tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from chat.deciders import NativeDecider
from chat.session import ChatSession
from chat.state import SessionPicture
from chat.tools.contract import Tool, ToolArguments, ToolResult, ToolScene
from chat.web.desk import Sessions
from lisa.tokens import REJECT_TOKEN, SEG_TOKEN
from lisa.types import Conversation
from tests.chat_script import (
    FindTool,
    MakeTool,
    Reply,
    Script,
    ScriptedSpeaker,
    ScriptedWorkbench,
    call,
)

CUP, FORK = (20, 20, 60, 60), (90, 30, 150, 50)
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)


class NoArguments(ToolArguments):
    """None."""


class RelateTool(Tool[NoArguments]):
    """Says that the first segment is left of the second."""

    name = "relate"
    description = "Relates things."
    arguments = NoArguments

    def run(self, arguments: NoArguments, scene: ToolScene) -> ToolResult:
        """Relate them."""
        first, second = scene.segments[:2]
        one = {"subject": first.name, "predicate": "left of", "object": second.name, "score": 0.9}
        text = f"{first.label} left of {second.label}"
        return ToolResult(text, {"relations": [one]}, (first, second))


def replies(picture: SessionPicture, conversation: Conversation) -> str | Reply:
    """Answer a few questions about a picture with a cup and a fork."""
    last = conversation.messages[-1]
    asked = last.text.splitlines()[-1].lower()
    if last.role == "tool":
        return f"So it is: {last.text}."
    if "relate" in asked:
        return call("relate")
    if "unicorn" in asked:
        return call("find", thing="unicorn")
    if "zebra" in asked:
        return f"There is no zebra {REJECT_TOKEN}."
    if "long" in asked:
        return "word " * 200
    return Reply(f"The cup {SEG_TOKEN} and the fork {SEG_TOKEN}.", (CUP, FORK))


def scripted_sessions(script: Script = replies, pause: float = 0.0) -> Sessions:
    """Sessions whose model says what the script says."""
    bench, tools = ScriptedWorkbench(), (FindTool(), MakeTool(), RelateTool())

    def parts() -> dict:
        speaker = ScriptedSpeaker(script, pause)
        decider = NativeDecider(speaker, [tool.name for tool in tools])
        return {"speaker": speaker, "decider": decider, "tools": tools}

    return Sessions(
        new=lambda: ChatSession(bench, **parts()),
        load=lambda folder: ChatSession.load(folder, bench, **parts()),
    )


def striped_picture(path: Path) -> Path:
    """Write a picture of 160 x 120 pixels."""
    image = Image.new("RGB", (160, 120), (230, 230, 220))
    image.paste((60, 150, 80), (20, 20, 60, 60))
    image.paste((40, 40, 160), (90, 30, 150, 50))
    image.save(path)
    return path


@contextmanager
def open_browser() -> Iterator:
    """Open a browser without a window; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=_FLAGS.split())
        try:
            yield browser
        finally:
            browser.close()
