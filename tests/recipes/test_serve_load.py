"""How `lisa serve` holds up: 32 clients at once against one alone, with the real lisa-nano.

    python -m pytest -s -m slow tests/recipes/test_serve_load.py

It prints what it measures. Only ratios within one run count: the machine does other things, too.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image

from tests.unit.chat.server.scripted import data_url, shown

CLIENTS = 32
SECONDS = 60.0
SERIAL_SECONDS = 30.0
WARM_UP_SECONDS = 15
PICTURES = 16
QUESTIONS = (
    "Segment the largest thing.",
    "What would I use to drink from?",
    "What is in the middle? Show it.",
    "Where is something to eat?",
)
SCENE = Path(__file__).parents[2] / "lisa" / "nano" / "demo" / "scene.jpg"
START = "from lisa.cli import run; run()"


def pictures():
    """Pieces of the demo scene, each of another size: a mask shows which one it is of."""
    with Image.open(SCENE) as scene:
        whole = scene.convert("RGB")
    return [whole.crop((n, 0, whole.width - n, whole.height - 2 * n)) for n in range(PICTURES)]


@dataclass
class Tally:
    """What clients saw.

    Attributes:
        seconds: Of each answer.
        refused: How many 429 there were.
        wrong: Everything else.
        texts: Words of the answers by picture and question.
    """

    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    texts: dict[tuple[int, int], set[str]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def percentile(self, share):
        return sorted(self.seconds)[int(share * (len(self.seconds) - 1))]


class Load:
    """Clients that ask as long as they are let."""

    def __init__(self, url):
        self.url = url
        self.images = pictures()
        self.addresses = [data_url(image) for image in self.images]

    def warm_up(self):
        """Show every picture once: both measurements then find them encoded."""
        tally = Tally()
        for picture in range(PICTURES):
            self.ask(tally, None, [(picture, 0)], 0)
        assert len(tally.seconds) == PICTURES

    def run(self, clients, seconds):
        tally, stop = Tally(), time.monotonic() + seconds
        # All go through the same pictures and questions, each from another place on.
        rounds = list(itertools.product(range(PICTURES), range(len(QUESTIONS))))
        threads = [
            threading.Thread(target=self.ask, args=(tally, stop, rounds, 5 * number))
            for number in range(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return tally

    def ask(self, tally, stop, rounds, place):
        with httpx.Client(timeout=120) as client:
            going = True
            while going:
                picture, question = rounds[place % len(rounds)]
                place += 1
                body = {
                    "model": "lisa-nano",
                    "messages": [shown(self.addresses[picture], QUESTIONS[question])],
                    "max_tokens": 64,
                    "tool_choice": "none",
                }
                begun = time.monotonic()
                try:
                    answer = client.post(f"{self.url}/v1/chat/completions", json=body)
                except httpx.HTTPError as error:  # a timeout, or a connection that broke
                    with tally.lock:
                        tally.wrong.append(repr(error))
                    return
                if not self.note(tally, answer, (picture, question), time.monotonic() - begun):
                    time.sleep(float(answer.headers["retry-after"]))
                going = stop is not None and time.monotonic() < stop

    def note(self, tally, answer, key, seconds):
        with tally.lock:
            if answer.status_code == 429:
                tally.refused += 1
                return False
            if answer.status_code != 200:
                tally.wrong.append(f"{answer.status_code} {answer.text[:200]}")
                return True
            message = answer.json()["choices"][0]["message"]
            size = [self.images[key[0]].height, self.images[key[0]].width]
            for segment in message["segments"]:
                if segment["mask"] is not None and segment["mask"]["size"] != size:
                    tally.wrong.append(f"a mask of {segment['mask']['size']} on {size}")
            tally.seconds.append(seconds)
            tally.texts.setdefault(key, set()).add(message["content"])
            return True


@pytest.fixture(scope="module")
def program():
    process = subprocess.Popen(
        [sys.executable, "-c", START, "serve", "--port", "0", "--offline", "--device", "cpu"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        assert " answers at http://" in line, line
        yield psutil.Process(process.pid), line.split(" answers at ")[1].split("/v1")[0]
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0


@pytest.mark.slow
def test_many_clients_lose_nothing_against_one(program):
    process, url = program
    load = Load(url)
    load.warm_up()
    alone = load.run(1, SERIAL_SECONDS)
    memory = []
    watching = threading.Event()

    def watch():
        while not watching.wait(1.0):
            memory.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.monotonic()
    many = load.run(CLIENTS, SECONDS)
    took = time.monotonic() - begun
    watching.set()
    watcher.join()

    one_rate = len(alone.seconds) / SERIAL_SECONDS
    many_rate = len(many.seconds) / took
    after_warm_up = memory[WARM_UP_SECONDS]
    growth = (max(memory[-5:]) - after_warm_up) / after_warm_up
    same = [
        text == next(iter(alone.texts[key]))
        for key, texts in many.texts.items()
        for text in texts
        if len(alone.texts.get(key, ())) == 1
    ]
    numbers = {
        "one client, answers/s": round(one_rate, 2),
        "32 clients, answers/s": round(many_rate, 2),
        "ratio": round(many_rate / one_rate, 3),
        "one client, p95 s": round(alone.percentile(0.95), 2),
        "32 clients, p50 s": round(many.percentile(0.5), 2),
        "32 clients, p95 s": round(many.percentile(0.95), 2),
        "answers": len(many.seconds),
        "429": many.refused,
        "other errors": len(many.wrong),
        "memory after warm-up, MB": after_warm_up >> 20,
        "memory growth": round(growth, 3),
        "answers in the words of the lone client": f"{sum(same)} of {len(same)}",
    }
    print(json.dumps(numbers, indent=1))
    assert many.wrong == []
    assert many_rate >= 0.9 * one_rate
    assert growth < 0.05
    # Rounding differs with the size of a batch, and with it now and then a word.
    assert sum(same) >= 0.9 * len(same)
