from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from chat.server.batcher import BatchingSpeaker
from chat.server.errors import ServerStopping
from chat.state import SessionPicture
from lisa.errors import PromptError
from lisa.types import Conversation
from tests.unit.chat.server.scripted import (
    ScriptedPipeline,
    bench_of,
    picture,
    shade_of,
    wait_for,
)


@pytest.fixture
def open_speaker():
    opened = []

    def build(pipeline, rows=4):
        speaker = BatchingSpeaker(bench_of(pipeline), rows, lambda rows, seconds: None)
        opened.append(speaker)
        return speaker

    yield build
    for speaker in opened:
        speaker.close()


def say(speaker, shade=1, text="What?", most=50, watch=lambda text: True):
    shown = SessionPicture(1, picture(shade), "")
    conversation = Conversation().ask(text, image_index=0)
    return speaker.speak(shown, conversation, max_new_tokens=most, watch=watch).prediction


def test_what_waits_together_is_answered_together(open_speaker):
    pipeline = ScriptedPipeline(step_seconds=0.01)
    speaker = open_speaker(pipeline)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda shade: say(speaker, shade), range(12)))
    assert [answer.text for answer in answers] == [f"The shade {n} [SEG]." for n in range(12)]
    assert max(pipeline.batches) == 4
    assert len(pipeline.batches) <= 5


def test_who_asks_alone_is_not_read_again(open_speaker):
    pipeline = ScriptedPipeline(step_seconds=0.01)
    speaker = open_speaker(pipeline)
    for shade in (1, 1, 2, 1):
        say(speaker, shade)
    first, again, other, later = pipeline.readings
    assert first is again is later is not None
    assert other is not None and other is not first
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda shade: say(speaker, shade), range(3)))
    together = [n for n, size in enumerate(pipeline.batches) if size > 1]
    assert together
    assert all(pipeline.readings[n] is None for n in together)


def test_conversations_about_one_picture_share_it(open_speaker):
    pipeline = ScriptedPipeline(step_seconds=0.01)
    speaker = open_speaker(pipeline)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: say(speaker, 7), range(4)))
    assert {answer.text for answer in answers} == {"The shade 7 [SEG]."}
    assert speaker._workbench.encodings == 1


def test_answers_of_other_lengths_go_in_batches_of_their_own(open_speaker):
    pipeline = ScriptedPipeline(lambda *_: "one two three four", step_seconds=0.01)
    speaker = open_speaker(pipeline)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda n: say(speaker, n, most=1 + n % 2), range(6)))
    assert [answer.new_tokens for answer in answers] == [1, 2, 1, 2, 1, 2]


def test_a_long_neighbour_takes_no_room(open_speaker):
    said = " ".join("abcdefghij")
    pipeline = ScriptedPipeline(lambda *_: said, step_seconds=0.005, context_length=20)
    speaker = open_speaker(pipeline)
    texts = ["short", "word " * 15, "short"]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda text: say(speaker, text=text, most=10), texts))
    assert sum(pipeline.batches) == 3
    assert max(pipeline.batches) <= 2


def test_a_row_that_nobody_wants_stops_and_the_others_go_on(open_speaker):
    pipeline = ScriptedPipeline(lambda *_: "a b c d e f", step_seconds=0.01)
    speaker = open_speaker(pipeline)
    with ThreadPoolExecutor(2) as pool:
        short = pool.submit(say, speaker, 1, watch=lambda text: len(text) < 3)
        whole = pool.submit(say, speaker, 2)
    assert short.result().text == "a b "
    assert whole.result().text == "a b c d e f"


def test_what_is_given_up_while_it_waits_never_begins(open_speaker):
    pipeline = ScriptedPipeline()
    speaker = open_speaker(pipeline)
    assert say(speaker, watch=lambda text: False).new_tokens == 0
    assert pipeline.batches == []


def test_one_bad_conversation_costs_the_others_nothing(open_speaker):
    def script(image, conversation):
        if shade_of(image) == 3:
            raise RuntimeError("broken weights")
        return f"shade {shade_of(image)}"

    pipeline = ScriptedPipeline(script, step_seconds=0.01, context_length=40)
    speaker = open_speaker(pipeline)

    def listen(text):
        if text == "shade ":
            raise ValueError("broken listener")
        return True

    with ThreadPoolExecutor(6) as pool:
        good = [pool.submit(say, speaker, shade, most=10) for shade in (1, 2)]
        broken = pool.submit(say, speaker, 3, most=10)
        long = pool.submit(say, speaker, 4, "word " * 50, most=10)
        deaf = pool.submit(say, speaker, 5, most=10, watch=listen)
    assert [one.result().text for one in good] == ["shade 1", "shade 2"]
    with pytest.raises(RuntimeError, match="broken weights"):
        broken.result()
    with pytest.raises(PromptError, match="50 words"):
        long.result()
    with pytest.raises(ValueError, match="broken listener"):
        deaf.result()


def test_other_threads_get_the_models_between_two_batches(open_speaker):
    pipeline = ScriptedPipeline(step_seconds=0.01)
    speaker = open_speaker(pipeline, rows=1)
    stop = threading.Event()

    def talk(shade):
        while not stop.is_set():
            say(speaker, shade)

    with ThreadPoolExecutor(4) as pool:
        for shade in range(4):
            pool.submit(talk, shade)
        try:
            wait_for(lambda: len(pipeline.batches) > 2)
            waits = []
            for _ in range(5):
                begun = time.monotonic()
                with speaker._workbench.lock:
                    waits.append(time.monotonic() - begun)
                time.sleep(0.01)
        finally:
            stop.set()
    # A batch takes about 0.05 s; being starved would mean seconds.
    assert max(waits) < 0.5


def test_a_closed_speaker_finishes_and_takes_nothing_more(open_speaker):
    pipeline = ScriptedPipeline(step_seconds=0.05)
    speaker = open_speaker(pipeline)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(say, speaker)
        wait_for(lambda: pipeline.batches)
        speaker.close()
    assert running.result().text == "The shade 1 [SEG]."
    with pytest.raises(ServerStopping, match="stopping"):
        say(speaker)
