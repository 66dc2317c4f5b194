from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from chat.server.conversations import Dialogue, KeptConversations
from chat.server.errors import Refusal
from chat.server.requests import Message
from chat.state import SessionPicture, SessionState
from tests.unit.chat.server.scripted import picture, shown

READER = TypeAdapter(list[Message])


def dialogue(*messages):
    return Dialogue.of(READER.validate_python(list(messages)), 8)


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def test_the_next_question_finds_what_this_one_leaves():
    first = dialogue(shown("data:1", "What?"))
    second = dialogue(shown("data:1", "What?"), assistant("That."), user("And now?"))
    assert second.past_key == first.key_after("That.")
    assert first.past_key == ""


@pytest.mark.parametrize(
    "other",
    [
        (shown("data:2", "What?"), assistant("That.")),
        (shown("data:1", "What??"), assistant("That.")),
        (shown("data:1", "What?"), assistant("This.")),
        (user("data:1\nWhat?"), assistant("That.")),
        (shown("data:1", "What?"), assistant("That."), user("a"), assistant("b")),
    ],
    ids=["picture", "question", "answer", "picture in the text", "length"],
)
def test_whatever_differs_is_another_conversation(other):
    one = dialogue(shown("data:1", "What?"), assistant("That."), user("And now?"))
    assert dialogue(*other, user("And now?")).past_key != one.past_key


def test_the_forms_of_one_message_are_one_conversation():
    listed = {"role": "user", "content": [{"type": "text", "text": "Hm."}]}
    answer = {"role": "assistant", "content": [{"type": "text", "text": "That."}]}
    sent_back = assistant("That.", segments=[], steps=[], ending="done", refusal=None)
    keys = {
        dialogue(one, two, user("x")).past_key
        for one in (user("Hm."), listed)
        for two in (assistant("That."), answer, sent_back)
    }
    assert len(keys) == 1


def test_questions_in_a_row_are_one_and_instructions_are_passed_over():
    found = dialogue(
        {"role": "system", "content": "Be brief."}, shown("data:1", "Look."), user("What is it?")
    )
    assert found.question.text == "Look.\nWhat is it?"
    assert found.question.pictures == ("data:1",)


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ([assistant("Hi.")], "follows no question"),
        ([user("a"), assistant("b"), assistant("c")], "follows no question"),
        ([user("a"), assistant("b")], "the last message must be the user's"),
        ([{"role": "system", "content": "x"}], "the last message must be the user's"),
        ([shown("data:", "x")] * 9, "9 pictures, above the limit of 8"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(messages, sentence):
    with pytest.raises(Refusal, match=sentence):
        dialogue(*messages)


def state(shade):
    return SessionState((SessionPicture(1, picture(shade, (100, 10)), ""),))


def test_what_was_used_longest_ago_is_forgotten_first():
    kept = KeptConversations(2, 10**9)
    kept.keep("a", state(1))
    kept.keep("b", state(2))
    kept.find("a")
    kept.keep("c", state(3))
    assert [kept.find(key) is not None for key in "abc"] == [True, False, True]


def test_memory_is_bounded():
    kept = KeptConversations(100, 7000)
    for shade in range(10):
        kept.keep(str(shade), state(shade))
        assert kept.kept_bytes <= 7000
    assert len(kept) == 2
    kept.keep("9", state(9))
    assert kept.kept_bytes == 6000
    kept.keep("too large", SessionState((SessionPicture(1, picture(1, (100, 100)), ""),)))
    assert kept.find("too large") is None
    assert kept.kept_bytes == 0
