"""Eight turns with lisa-nano through `lisa serve` and the official client of OpenAI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import lisa as package
from lisa.masks import decode_rle
from tests.unit.chat.server.scripted import data_url, shown

DEMO = Path(package.__file__).parent / "nano" / "demo" / "scene.jpg"
START = "from lisa.cli import run; run()"
KEY = "a-key-of-thirty-two-characters-00"


@contextmanager
def lisa_serve():
    """Run the command; yields the address of its API."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, "serve", "--port", "0", "--offline", "--device", "cpu"],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "LISA_API_KEY": KEY},
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        assert " answers at http://" in line, line
        assert KEY not in line
        yield line.split(" answers at ")[1].split()[0]
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0


class Talk:
    """A client that keeps its own messages, as clients of this protocol do."""

    def __init__(self, address, messages):
        from openai import OpenAI

        self.client = OpenAI(base_url=address, api_key=KEY, max_retries=0, timeout=300)
        self.messages = messages

    def ask(self, question, picture=None):
        user = {"role": "user", "content": question}
        self.messages.append(user if picture is None else shown(picture, question))
        completion = self.client.chat.completions.create(model="lisa-nano", messages=self.messages)
        message = completion.choices[0].message
        self.messages.append(message.model_dump(exclude_none=True))
        return message

    def undo(self):
        del self.messages[-2:]


def tools(message):
    return [step["tool"] for step in message.steps if step["type"] == "tool_call"]


def observed(message):
    return [step for step in message.steps if step["type"] == "observation"][-1]["text"]


@pytest.mark.slow
def test_eight_turns_over_http(tmp_path):
    picture = data_url(DEMO.read_bytes(), "jpeg")
    with lisa_serve() as address:
        talk = Talk(address, [])
        tagged = talk.ask("What is in the picture?", picture)
        assert tools(tagged) == ["tag"]
        assert "avocado" in tagged.content

        reasoned = talk.ask("Which of these is mashed into guacamole?")
        (avocado,) = [one for one in reasoned.segments if one["origin"] == "answer"]
        assert (avocado["name"], avocado["status"]) == ("#1", "found")
        share = f"{100 * decode_rle(avocado['mask']).mean():.1f} %"

        followed = talk.ask("How large is #1?")
        assert tools(followed) == ["measure"]
        assert share in observed(followed)
        assert share in followed.content

        related = talk.ask("What is above #1?")
        assert tools(related) == ["relate"]
        assert "above" in observed(related)

        counted = talk.ask("How many fruits are there?")
        assert tools(counted) == ["measure"]
        assert observed(counted).partition(":")[0] in counted.content

        absent = talk.ask("Is there a zebra?")
        assert [one["status"] for one in absent.segments] == ["absent"]
        talk.undo()
        (tmp_path / "talk.json").write_text(json.dumps(talk.messages))
        headers = {"authorization": f"Bearer {KEY}"}
        counts = httpx.get(address.replace("/v1", "/metrics"), headers=headers).text
        assert "lisa_turns_total" in counts
    # Another server knows nothing of it but what the messages say.
    with lisa_serve() as address:
        again = Talk(address, json.loads((tmp_path / "talk.json").read_text()))
        followed = again.ask("How large is #1?")
        assert tools(followed) == ["measure"]
        assert share in observed(followed)
