from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lisa.errors import ConfigError
from lisa.models import Reading
from lisa.pipeline import LisaPipeline
from lisa.types import Conversation
from tests.tiny import picture, tiny_model, tiny_processor

TOKENS = 6


@pytest.fixture(scope="module")
def pipeline() -> LisaPipeline:
    return LisaPipeline(tiny_model(), tiny_processor())


def same(one, other) -> bool:
    masks = zip(one.segments, other.segments, strict=True)
    return one.text == other.text and all((a.mask == b.mask).all() for a, b in masks)


def test_a_follow_up_reads_only_what_is_new(pipeline) -> None:
    image = pipeline.encode(picture(33, 50))
    reading, conversation = Reading(), Conversation()
    for number, question in enumerate(["Where is it?", "And the other one?", "Why?"]):
        conversation = conversation.ask(question, None if number else 0)
        known = len(reading.ids)
        kept = pipeline.answer([image], [conversation], max_new_tokens=TOKENS, reading=reading)[0]
        fresh = pipeline.answer([image], [conversation], max_new_tokens=TOKENS)[0]
        assert same(kept, fresh)
        # Letters that a byte vocabulary cannot write come back as other ones, so the last answer
        # may be read again; all before it never is.
        assert reading.reused >= known - TOKENS
        assert (reading.reused == 0) == (number == 0)
        conversation = kept.conversation


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "a b", "b a"]), min_size=1, max_size=4), st.data())
def test_any_change_of_the_past_is_noticed(questions, data) -> None:
    model = LisaPipeline(tiny_model(), tiny_processor())
    images = [model.encode(picture(33, 50, seed=seed)) for seed in range(2)]
    reading = Reading()
    for question in questions:
        image = data.draw(st.sampled_from(images))
        past = data.draw(st.sampled_from(["x", "y", "xy"]))
        conversation = Conversation().ask(past, 0).answer("z").ask(question)
        kept = model.answer([image], [conversation], max_new_tokens=3, reading=reading)[0]
        assert same(kept, model.answer([image], [conversation], max_new_tokens=3)[0])


def test_another_picture_shares_nothing(pipeline) -> None:
    reading = Reading()
    asked = Conversation().ask("Where?", 0)
    for seed in range(2):
        image = pipeline.encode(picture(33, 50, seed=seed))
        pipeline.answer([image], [asked], max_new_tokens=2, reading=reading)
        assert reading.reused == 0


def test_a_failed_reading_is_forgotten(pipeline) -> None:
    image, reading = pipeline.encode(picture(33, 50)), Reading()
    asked = Conversation().ask("Where?", 0)
    pipeline.answer([image], [asked], max_new_tokens=2, reading=reading)

    def fail(row: int, text: str) -> bool:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        pipeline.answer([image], [asked.answer("x").ask("y")], reading=reading, watch=fail)
    pipeline.answer([image], [asked], max_new_tokens=2, reading=reading)
    assert reading.reused == 0


def test_a_reading_is_for_one_conversation(pipeline) -> None:
    image, asked = pipeline.encode(picture(33, 50)), Conversation().ask("Where?", 0)
    with pytest.raises(ConfigError, match="one conversation, and 2 were given"):
        pipeline.answer([image], [asked, asked], reading=Reading())


def test_a_row_can_be_stopped(pipeline) -> None:
    image = pipeline.encode(picture(33, 50))
    asked = [Conversation().ask(question, 0) for question in ("Where?", "What is it?")]
    seen: dict[int, list[str]] = {0: [], 1: []}

    def watch(row: int, text: str) -> bool:
        seen[row].append(text)
        return row == 1 or len(seen[0]) < 3

    short, long = pipeline.answer([image], asked, max_new_tokens=TOKENS, watch=watch)
    whole = pipeline.answer([image], asked, max_new_tokens=TOKENS)
    assert short.new_tokens == 3
    assert same(long, whole[1])
    assert whole[0].text.startswith(short.text.rstrip("\N{REPLACEMENT CHARACTER}"))
    assert all(b.startswith(a) for a, b in zip(seen[1][:-1], seen[1][1:], strict=True))


def test_cache_and_whole_pass_agree_for_states(pipeline) -> None:
    """The states behind masks come from what was read anew; they are those of a single pass."""
    image = pipeline.encode(picture(64, 20))
    reading = Reading()
    first = Conversation().ask("Where is it?", 0)
    answer = pipeline.answer([image], [first], max_new_tokens=3, reading=reading)[0]
    ids = pipeline.processor.encode_conversation(answer.conversation.ask("And?"))
    tensor = torch.tensor([ids])
    one = pipeline.model.generate(tensor, images=[image], max_new_tokens=4, reading=reading)
    other = pipeline.model.generate(tensor, images=[image], max_new_tokens=4)
    assert reading.reused > 0
    assert torch.equal(one.token_ids[0], other.token_ids[0])
    for a, b in zip(one.token_probabilities, other.token_probabilities, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
