from __future__ import annotations

import numpy as np
import pytest

from eval.nano.dialogues import (
    held_out_dialogues,
    is_valid,
    judge,
    judge_dialogue,
    names_what_was_meant,
    report_of,
)
from eval.nano.read_scenes import load_scenes
from lisa.data.dialogues import DialogueTurn
from lisa.tool_calls import ToolCall, write_call
from lisa.types import Conversation, Prediction

PICTURES = load_scenes()[:6]


class Oracle:
    """Says what the dialogues say, or always the same."""

    def __init__(self, dialogues, always: str | None = None) -> None:
        self.always = always
        self.known = {}
        for _, one in dialogues:
            messages = one.conversation.messages
            for end in range(1, len(messages)):
                self.known[messages[:end]] = messages[end].text

    def encode(self, picture):
        return picture

    def answer(self, images, conversations, index, **_):
        assert len(conversations) == len(index)
        said = [self.always or self.known[one.messages] for one in conversations]
        return [Prediction(text, (), Conversation()) for text in said]


def judged(model, dialogues):
    return report_of([judge_dialogue(model, PICTURES[place], one) for place, one in dialogues])


def test_the_dialogues_are_the_same_every_time() -> None:
    one, other = (held_out_dialogues(PICTURES, 12) for _ in range(2))
    assert [d.conversation for _, d in one] == [d.conversation for _, d in other]
    assert [place for place, _ in one] == [0, 1, 2, 3, 4, 5] * 2


def test_a_model_that_knows_everything_is_right() -> None:
    dialogues = held_out_dialogues(PICTURES, 30)
    report = judged(Oracle(dialogues), dialogues)
    shares = [v for v in report.values() if isinstance(v, float)]
    assert shares
    assert set(shares) == {1.0}
    assert report["dialogues"] == 30


def test_a_model_that_never_calls_is_right_where_no_call_is_needed() -> None:
    dialogues = held_out_dialogues(PICTURES, 30)
    needless = np.mean([d.turns[-1].call is None for _, d in dialogues])
    report = judged(Oracle(dialogues, "Hm."), dialogues)
    assert report["right call"] == pytest.approx(needless)
    assert report["right arguments"] == report["answers"] == 0


@pytest.mark.parametrize(
    ("name", "arguments", "valid"),
    [
        ("tag", {}, True),
        ("tag", {"x": "1"}, False),
        ("shout", {}, False),
        ("measure", {"what": "area", "segments": ["#1"]}, True),
        ("measure", {"what": "weight", "segments": ["#1"]}, False),
        ("measure", {"segments": ["#1"]}, False),
        ("measure", {"what": "area", "segments": "#1"}, False),
        ("edit", {"segment": "#1", "change": "redder"}, False),
        ("crop", {"segment": 1}, False),
    ],
)
def test_validity(name, arguments, valid) -> None:
    assert is_valid(ToolCall(name, arguments)) == valid


def test_judgements() -> None:
    turn = DialogueTurn("crop", 0, ToolCall("crop", {"segment": "#2"}), "context")
    assert judge(turn, write_call(ToolCall("crop", {"segment": "#2"}))) == (True, True)
    assert judge(turn, write_call(ToolCall("crop", {"segment": "#1"}))) == (True, False)
    assert judge(turn, write_call(ToolCall("tag", {}))) == (False, False)
    assert judge(turn, "Picture 2 shows it.") == (False, False)
    assert judge(turn, "<tool_call>{") == (False, False)
    answers = DialogueTurn("show", 0, None, "none")
    assert judge(answers, "It is the cup [SEG].") == (True, None)
    assert judge(answers, write_call(ToolCall("tag", {}))) == (False, None)


@pytest.mark.parametrize(
    ("said", "resolved"),
    [
        (ToolCall("measure", {"what": "distance", "segments": ["#2", "#1"]}), True),
        (ToolCall("relate", {"subject": "#1", "object": "#2"}), True),
        (ToolCall("measure", {"what": "distance", "segments": ["#1", "cup"]}), False),
        (ToolCall("tag", {}), False),
    ],
)
def test_a_reference_is_resolved_by_a_call_that_names_all_it_means(said, resolved) -> None:
    right = ToolCall("measure", {"what": "distance", "segments": ["#1", "#2"]})
    turn = DialogueTurn("measure", 0, right, "context")
    assert names_what_was_meant(turn, write_call(said)) == resolved
    assert not names_what_was_meant(turn, "They are close.")
    assert not names_what_was_meant(turn, "<tool_call>{")
    nothing = DialogueTurn("tag", 0, ToolCall("tag", {}), "none")
    assert names_what_was_meant(nothing, write_call(said)) is None
