"""Calls that no honest model writes: each becomes an observation, and the session stays whole."""

from __future__ import annotations

import json
import time

import pytest

from chat.deciders import NativeDecider
from chat.session import ChatSession
from chat.state import Turn
from chat.steps import Observed, Thought
from chat.tools.registry import ALL_TOOLS
from lisa.errors import DataError
from tests.chat_script import ScriptedSpeaker, call
from tests.unit.chat.tools.bench import Table, picture, workbench

ANSWER = "I could not do that."


def _session(*replies: str) -> ChatSession:
    speaker = ScriptedSpeaker([*replies, ANSWER])
    decider = NativeDecider(speaker, [tool.name for tool in ALL_TOOLS])
    session = ChatSession(workbench(), speaker=speaker, decider=decider, tools=ALL_TOOLS)
    session.add_picture(picture())
    return session


def _attacked(reply: str) -> tuple[ChatSession, Turn, str]:
    """Let the model say this; what it reads next of it comes last."""
    session = _session(reply)
    turn = session.ask("What is it?")
    (observed,) = [message.text for message in turn.conversation.messages if message.role == "tool"]
    return session, turn, observed


def _written(body: str) -> str:
    return f"<tool_call>{body}</tool_call>"


_NESTED = '{"name": "tag", "arguments": ' + '{"a": ' * 650 + "1" + "}" * 650 + "}"

CALLS = {
    "unknown tool": (call("shell", command="rm -rf /"), 'no tool "shell"'),
    "method of the object": (call("__init__"), 'no tool "__init__"'),
    "look-alike name": (call("t\u0430g"), "no tool"),
    "name of many characters": (call("x" * 3000), "no tool"),
    "unknown argument": (call("tag", path="/etc/passwd"), "path: Extra inputs"),
    "dunder argument": (call("crop", segment="#1", __class__="os"), "__class__: Extra inputs"),
    "number for a text": (call("crop", segment=1), "segment: Input should be a valid string"),
    "text for a list": (
        call("measure", what="area", segments="#1"),
        "segments: Input should be a valid list",
    ),
    "truth for a number": (call("segment", box=[True, 0, 5, 5]), "valid number"),
    "object for a text": (call("describe_region", segment={"$ref": "#1"}), "valid string"),
    "huge list": (call("measure", what="area", segments=["#1"] * 100), "at most 16 items"),
    "many points": (call("segment", points=[[1, 1]] * 100), "at most 16 items"),
    "NaN box": (_written('{"name": "segment", "arguments": {"box": [NaN, 0, 9, 9]}}'), "error: "),
    "endless box": (_written('{"name": "segment", "arguments": {"box": [0, 0, 1e999, 9]}}'), "err"),
    "box outside": (call("segment", box=[900, 900, 999, 999]), "no area inside the picture"),
    "box inside out": (call("segment", box=[50, 50, 10, 10]), "no area inside the picture"),
    "far away box": (call("segment", box=[-1e308, -1e308, -1e307, -1e307]), "no area inside"),
    "point outside": (call("segment", points=[[1e9, 1]]), "outside the picture"),
    "no such name": (call("crop", segment="#999999999"), "error: "),
    "name of another kind": (call("crop", segment="#-1"), "error: "),
    "path for a reference": (call("crop", segment="../../etc/passwd"), "error: "),
    "address for a reference": (call("describe_region", segment="file:///etc/passwd"), "error: "),
    "empty reference": (call("edit", segment="", change="bigger"), "at least 1 character"),
    "long reference": (call("edit", segment="cup " * 100, change="bigger"), "at most 200"),
    "no JSON": (_written("tag()"), "no JSON"),
    "nested deeply": (_written(_NESTED), "error: "),
    "a million characters": (_written('{"name": "' + "a" * 1_000_000 + '"}'), "write at most"),
    "a list": (_written('["tag"]'), "not of the form"),
    "arguments of text": (_written('{"name": "tag", "arguments": "{}"}'), "not of the form"),
    "huge number": (
        _written('{"name": "segment", "arguments": {"box": [' + "9" * 3000 + ", 0, 1, 1]}}"),
        "error: ",
    ),
}


@pytest.mark.parametrize("attack", CALLS)
def test_bad_calls_are_told_to_the_model(attack: str) -> None:
    reply, message = CALLS[attack]
    session, turn, observed = _attacked(reply)
    assert observed.startswith("error: ")
    assert message in observed
    assert len(observed) < 1500
    assert turn.answer.text == ANSWER
    assert session.segments == ()
    assert len(session.pictures) == 1
    # Whoever shows the steps writes them as JSON.
    json.dumps(session.describe(), allow_nan=False)


def test_of_arguments_that_are_given_twice_the_last_counts_and_is_checked() -> None:
    body = '{"name": "tag", "name": "crop", "arguments": {}, "arguments": {"segment": 7}}'
    _, _, observed = _attacked(_written(body))
    assert "crop does not take these arguments" in observed


def test_a_second_call_in_one_reply_is_not_run() -> None:
    session = _session(call("tag") + call("edit", segment="apple", change="bigger"))
    turn = session.ask("What is it?")
    assert len([step for step in turn.steps if isinstance(step, Observed)]) == 1
    assert session.segments == ()


def test_a_model_that_calls_for_ever_is_stopped() -> None:
    session = _session(*[call("tag")] * 100)
    turn = session.ask("What is it?")
    steps = session.limits.agent.max_steps
    assert len([step for step in turn.steps if isinstance(step, Observed)]) == steps
    assert turn.answer.ending == "steps"
    assert session.ask("And now?").answer.text


def test_a_model_that_writes_nonsense_for_ever_is_stopped() -> None:
    turn = _session(*[_written("{")] * 100).ask("What is it?")
    thoughts = [step for step in turn.steps if isinstance(step, Thought)]
    assert 0 < len(thoughts) <= 7
    assert turn.answer.ending == "steps"


def test_pictures_that_tools_make_are_bounded() -> None:
    from chat.limits import AgentLimits, SessionLimits

    replies = [call("crop", segment="apple")] * 8
    speaker = ScriptedSpeaker([*replies, ANSWER])
    limits = SessionLimits(pictures=3, agent=AgentLimits(max_steps=20))
    decider = NativeDecider(speaker, ["crop"])
    session = ChatSession(
        workbench(), speaker=speaker, decider=decider, tools=ALL_TOOLS, limits=limits
    )
    session.add_picture(picture())
    turn = session.ask("Crop, crop, crop.")
    observed = [step for step in turn.steps if isinstance(step, Observed)]
    assert [step.is_error for step in observed] == [False, False, *[True] * 6]
    assert len(session.pictures) == 3


def test_words_that_would_take_a_pattern_long_are_read_at_once() -> None:
    from chat.tools.measure import MeasureTool

    start = time.monotonic()
    with pytest.raises(DataError, match="at most 200"):
        Table().call(MeasureTool(), what="count", of="a " * 100_000)
    assert Table().call(MeasureTool(), what="count", of="s" * 200).data["count"] == 0
    assert time.monotonic() - start < 20


def test_arguments_never_reach_what_a_format_could_read() -> None:
    _, _, observed = _attacked(call("relate", relation="{0.__class__} %s"))
    assert "{0.__class__} %s" in observed
