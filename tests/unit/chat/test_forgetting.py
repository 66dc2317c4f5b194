"""Long conversations: the model reads their end, and the beginning of it changes rarely."""

from __future__ import annotations

from chat.forgetting import fitting
from lisa.types import Conversation, ImagePart


def talk(questions: int) -> Conversation:
    """A conversation with a call in every turn."""
    conversation = Conversation()
    for number in range(questions):
        conversation = conversation.ask(f"q{number}", None if number else 0)
        conversation = conversation.answer("call").observe("found").answer("a")
    return conversation.ask(f"q{questions}", None if questions else 0)


def shorter_than(messages: int):
    return lambda conversation: len(conversation.messages) <= messages


def test_what_fits_stays_as_it_is():
    conversation = talk(3)
    assert fitting(conversation, shorter_than(13)) is conversation


def test_the_oldest_questions_go_together():
    left = fitting(talk(20), shorter_than(60))
    assert left.messages[0].text == "q8"
    assert left.messages[0].parts[0] == ImagePart(0)
    assert left.messages[-1].text == "q20"
    roles = [message.role for message in left.messages]
    assert roles == ["user", "assistant", "tool", "assistant"] * 12 + ["user"]


def test_the_beginning_stays_the_same_for_a_while():
    begun = [fitting(talk(n), shorter_than(60)).messages[0].text for n in range(14, 31)]
    assert begun == ["q0"] + ["q8"] * 8 + ["q16"] * 8


def test_the_last_question_always_stays():
    for questions in (0, 1, 5, 9, 16):
        left = fitting(talk(questions), shorter_than(0))
        assert [message.text for message in left.messages] == [f"q{questions}"]
        assert left.messages[0].parts[0] == ImagePart(0)
