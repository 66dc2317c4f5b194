"""`lisa serve` with many clients, rude ones among them, and at its end.

The model is scripted where nothing depends on its weights; see tests/unit/chat/server/scripted.py.
"""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from chat.server.settings import ServerSettings
from tests.unit.chat.server.scripted import (
    ScriptedPipeline,
    asked,
    box_of,
    data_url,
    picture,
    place_of_shade,
    served,
    wait_for,
)


@pytest.fixture(scope="module")
def server():
    with served() as running:
        yield running


# --- Many at once ---------------------------------------------------------------------------------


def test_every_answer_belongs_to_its_picture():
    pipeline = ScriptedPipeline(step_seconds=0.002)
    with served(pipeline) as server, ThreadPoolExecutor(16) as pool:
        client = server.openai()

        def ask(shade):
            if shade % 2:
                stream = client.chat.completions.create(**asked(shade), stream=True)
                deltas = [chunk.choices[0].delta for chunk in stream]
                text = "".join(delta.content or "" for delta in deltas)
                found = [one for d in deltas for one in getattr(d, "segments", None) or []]
            else:
                message = client.chat.completions.create(**asked(shade)).choices[0].message
                text, found = message.content, message.segments
            return text, [box_of(one) for one in found]

        answers = list(pool.map(ask, range(200)))
    assert answers == [(f"The shade {n} [SEG].", [place_of_shade(n)]) for n in range(200)]
    assert max(pipeline.batches) > 1


def test_a_full_queue_answers_429_with_retry_after():
    settings = ServerSettings(batch=1, waiting=1)
    with served(ScriptedPipeline(step_seconds=0.2), settings) as server:
        with ThreadPoolExecutor(12) as pool:
            client = server.client()
            answers = list(
                pool.map(lambda n: client.post("/v1/chat/completions", json=asked(n)), range(12))
            )
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {200, 429}
        assert statuses.count(200) == 3
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"]["type"] == "rate_limit_error"
        # The official client tries again by itself.
        with ThreadPoolExecutor(5) as pool:
            retrying = server.openai(max_retries=8)
            done = pool.map(lambda n: retrying.chat.completions.create(**asked(n)), range(5))
            assert all(one.choices for one in done)


def test_the_deadline_counts_waiting():
    settings = ServerSettings(batch=1, seconds=0.5)
    pipeline = ScriptedPipeline(lambda *_: "a " * 12, step_seconds=0.2)
    with served(pipeline, settings) as server, ThreadPoolExecutor(5) as pool:
        client = server.client()
        posts = pool.map(lambda n: client.post("/v1/chat/completions", json=asked(n)), range(5))
        answers = list(posts)
    said = [one.json()["choices"][0] for one in answers if one.status_code == 200]
    assert said
    assert all(one["message"]["ending"] == "time" for one in said)
    assert all(one["finish_reason"] == "length" for one in said)
    late = [one for one in answers if one.status_code != 200]
    assert late
    assert {one.status_code for one in late} == {503}
    assert "no answer within 0.5 seconds" in late[0].json()["error"]["message"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_hangs_up_stops_its_turn(stream):
    pipeline = ScriptedPipeline(lambda *_: "word " * 200, step_seconds=0.05)
    with served(pipeline) as server:
        body = json.dumps(asked(stream=stream)).encode()
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
                b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )
            wait_for(lambda: pipeline.words_said > 2)
        wait_for(lambda: server.server.config.app.state.desk.inside == 0)
        assert pipeline.words_said < 100
        assert server.openai(timeout=60).models.list().data


# --- The program itself ---------------------------------------------------------------------------

PROGRAM = """
import sys
from chat.safety.sources import PictureSources
from chat.server.app import create_app
from chat.server.serving import server_for
from chat.server.settings import ServerSettings
from tests.unit.chat.server.scripted import ScriptedPipeline, bench_of

settings = ServerSettings(drain_seconds=60)
pipeline = ScriptedPipeline(lambda *_: "word " * 20, step_seconds=float(sys.argv[1]))
app = create_app(bench_of(pipeline), settings, PictureSources(settings.limits))
server_for(app, settings, "127.0.0.1", 0, "open at {address}").run()
"""
CLIENT = """
import json, sys, httpx
body = json.loads(sys.stdin.read())
with httpx.stream("POST", sys.argv[1] + "/v1/chat/completions", json=body) as answer:
    for line in answer.iter_lines():
        print(line, flush=True)
"""


class Program:
    """A server in a process of its own."""

    def __init__(self, step_seconds=0.05, **options):
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(step_seconds)],
            stdout=subprocess.PIPE, text=True, **options,
        )  # fmt: skip
        line = self.process.stdout.readline()
        assert line.startswith("open at "), line
        self.url = line.split()[-1]

    def post(self, **more):
        import httpx

        return httpx.post(f"{self.url}/v1/chat/completions", json=asked(**more), timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def test_sigterm_finishes_what_runs_and_refuses_what_is_new():
    with Program(step_seconds=0.2) as program, ThreadPoolExecutor(4) as pool:
        running = [pool.submit(program.post, stream=stream) for stream in (False, True)]
        wait_for(lambda: inside_of(program) == 2, 60)
        program.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        refused = program.post()
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        answers = [one.result() for one in running]
        assert [one.status_code for one in answers] == [200, 200]
        whole = ("word " * 20).strip()
        assert answers[0].json()["choices"][0]["message"]["content"].strip() == whole
        assert answers[1].text.endswith("data: [DONE]\n\n")
        assert program.process.wait(timeout=60) == 0


def test_a_killed_client_costs_nobody_anything():
    with Program() as program:
        for _ in range(3):
            client = subprocess.Popen(
                [sys.executable, "-c", CLIENT, program.url],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            client.stdin.write(json.dumps(asked(stream=True)))
            client.stdin.close()
            assert client.stdout.readline().startswith("data: ")
            client.kill()
            client.wait()
        assert program.post().status_code == 200
        wait_for(lambda: inside_of(program) == 0)


def inside_of(program):
    import httpx

    text = httpx.get(f"{program.url}/metrics").text
    (line,) = [one for one in text.splitlines() if one.startswith("lisa_requests_inside ")]
    return float(line.split()[1])


def test_slow_clients_keep_nobody_waiting():
    with Program(step_seconds=0.001) as program:
        port = int(program.url.rsplit(":", 1)[1])
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
        try:
            for number, one in enumerate(slow):
                begin = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
                if number % 2:
                    begin += b"content-type: application/json\r\ncontent-length: 1000\r\n\r\n{"
                one.sendall(begin)
            begun = time.monotonic()
            assert program.post().status_code == 200
            assert time.monotonic() - begun < 10
        finally:
            for one in slow:
                one.close()


def test_two_hundred_malformed_uploads_leave_the_server_as_it_was():
    rng = random.Random(0)
    noise = np.random.default_rng(0)
    good = data_url(picture(1, (64, 64)))
    with served() as server, server.client() as client:
        for number in range(200):
            letters = list(good)
            for _ in range(rng.randint(1, 200)):
                letters[rng.randrange(22, len(letters))] = rng.choice("AZaz09+/=é\0 ")
            url = [
                "".join(letters),
                good[: rng.randrange(1, len(good))],
                data_url(noise.bytes(rng.randrange(500))),
                "data:" + "".join(rng.choices(";,/base64image", k=30)),
            ][number % 4]
            body = asked()
            body["messages"][0]["content"][0]["image_url"]["url"] = url
            text = json.dumps(body)
            if number % 5 == 0:
                text = text[: rng.randrange(len(text))]
            answer = client.post(
                "/v1/chat/completions", content=text, headers={"content-type": "application/json"}
            )
            assert answer.status_code in (200, 400), (number, answer.text)
            assert answer.status_code == 200 or answer.json()["error"]["message"]
        assert client.post("/v1/chat/completions", json=asked(8)).status_code == 200
        assert server.metric("lisa_requests_inside") == 0


def test_a_full_disk_does_not_matter(tmp_path):
    """The server writes no files; even what it says about errors may have no place to go."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs /dev/full")
    import resource

    with open("/dev/full", "w") as full, Program(0.001, stderr=full) as program:
        # From now on no file may grow by a byte.
        resource.prlimit(program.process.pid, resource.RLIMIT_FSIZE, (0, 0))
        assert program.post().status_code == 200
        assert program.post(stream=True).text.endswith("data: [DONE]\n\n")
        assert program.post(messages=[]).status_code == 400
        assert program.post().status_code == 200


def test_threads_do_not_grow():
    with served() as server, server.client() as client:

        def many():
            with ThreadPoolExecutor(8) as pool:
                posts = [
                    pool.submit(client.post, "/v1/chat/completions", json=asked(n))
                    for n in range(40)
                ]
                assert all(one.result().status_code == 200 for one in posts)

        many()
        before = threading.active_count()
        many()
        many()
        # The pools may still fill up to the eight that ask at once; a leak would be of eighty.
        assert threading.active_count() <= before + 8
