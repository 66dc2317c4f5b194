"""A planner behind a real socket, and one of transformers: what it is asked, what its words do."""

from __future__ import annotations

import base64
import io
import json
import logging
import time
from typing import Any

import pytest
from PIL import Image

from chat.cancellation import Cancellation, TurnCancelled
from chat.deciders.contract import Call, Misread, Say, TurnView
from chat.deciders.planner import (
    PlannerDecider,
    PlannerError,
)
from chat.deciders.planner_endpoint import MAX_RESPONSE_BYTES, Endpoint, EndpointPlanner
from chat.deciders.planner_places import Scale, read_places
from chat.session import ChatSession
from chat.state import SessionPicture, SessionSegment
from chat.steps import Observed
from chat.tools.registry import ALL_TOOLS
from lisa.errors import ConfigError
from lisa.tool_calls import ToolCall, write_call
from lisa.types import Conversation
from tests.chat_script import box_segment
from tests.unit.chat.endpoints import Answer, endpoint, said
from tests.unit.chat.tools.bench import picture, workbench

KEY = "sk-secret-4711"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANNER_KEY", KEY)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def _view(
    conversation: Conversation, size: tuple[int, int] = (200, 100), **changes: Any
) -> TurnView:
    image = Image.new("RGB", size)
    segment = SessionSegment("#1", "cup", 1, box_segment(image, (0, 0, 9, 9)), "answer")
    parts: dict[str, Any] = {
        "picture": SessionPicture(1, image, "x.png"),
        "conversation": conversation,
        "tools": ALL_TOOLS,
        "may_call": True,
        "segments": (segment,),
        "cancellation": Cancellation(),
        "max_new_tokens": 64,
        **changes,
    }
    return TurnView(**parts)


def _planner(url: str, **options: Any) -> EndpointPlanner:
    return EndpointPlanner(Endpoint(url, "tiny-vlm", key_variable="PLANNER_KEY", **options))


def _decide(url: str, view: TurnView | None = None, **options: Any) -> Call | Misread | Say:
    told: list[str] = []
    asked = view or _view(Conversation().ask("What is it?", 0))
    decision = PlannerDecider(_planner(url, **options)).next(asked, told.append)
    assert told == ([decision.text] if isinstance(decision, Say) else [])
    return decision


def _answer(decision: Call | Misread | Say) -> str:
    assert isinstance(decision, Say)
    return decision.text


# --- What it is asked -----------------------------------------------------------------------------


def test_a_request_has_the_picture_the_tools_and_the_key() -> None:
    with endpoint([said("A cup.")]) as (url, heard):
        assert _answer(_decide(url)) == "A cup."
    (body,) = heard.bodies
    assert heard.paths == ["/v1/chat/completions"]
    assert heard.headers[0]["authorization"] == f"Bearer {KEY}"
    assert body["model"] == "tiny-vlm"
    assert body["max_tokens"] == 64
    assert [tool["function"]["name"] for tool in body["tools"]] == [t.name for t in ALL_TOOLS]
    system, question = body["messages"]
    assert "200 wide and 100 high" in system["content"]
    assert "#1 cup" in system["content"]
    shown, words = question["content"]
    assert words["text"] == "What is it?"
    head, data = shown["image_url"]["url"].split(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (200, 100)


def test_no_key_is_sent_where_none_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLANNER_KEY")
    with endpoint([said("A cup.")]) as (url, heard):
        _decide(url)
    assert "authorization" not in heard.headers[0]


def test_calls_and_results_are_written_as_the_api_wants_them() -> None:
    call = ToolCall("measure", {"what": "area", "segments": ["#1"]})
    conversation = Conversation().ask("How large?", 0).answer(write_call(call)).observe("big")
    with endpoint([said("It is big.")]) as (url, heard):
        _decide(url, _view(conversation), sees=False)
    _, question, called, result = heard.bodies[0]["messages"]
    assert question["content"] == "How large?"
    function = called["tool_calls"][0]["function"]
    assert json.loads(function["arguments"]) == call.arguments
    assert result == {
        "role": "tool",
        "tool_call_id": called["tool_calls"][0]["id"],
        "content": "big",
    }


def test_a_planner_that_does_not_see_gets_no_picture() -> None:
    with endpoint([said("I cannot know.")]) as (url, heard):
        _decide(url, sees=False)
    assert "image_url" not in json.dumps(heard.bodies)
    assert "You do not see it" in heard.bodies[0]["messages"][0]["content"]


def test_no_tools_are_offered_once_the_limit_is_reached() -> None:
    view = _view(Conversation().ask("What?", 0), may_call=False)
    with endpoint([said("A cup.")]) as (url, heard):
        _decide(url, view)
    assert "tools" not in heard.bodies[0]


# --- What it says ---------------------------------------------------------------------------------


def test_a_call_is_taken_and_only_the_first() -> None:
    answer = said(name="tag", arguments="{}")
    calls = answer.body["choices"][0]["message"]["tool_calls"]
    calls.append({"function": {"name": "caption", "arguments": "{}"}})
    with endpoint([answer]) as (url, _):
        decision = _decide(url)
    assert decision == Call(ToolCall("tag", {}), write_call(ToolCall("tag", {})))


def test_a_call_between_marks_is_taken_from_planners_without_an_api_for_it() -> None:
    text = 'First I look. <tool_call>{"name": "tag", "arguments": {}}</tool_call> There is'
    with endpoint([said(text)]) as (url, _):
        decision = _decide(url)
    assert isinstance(decision, Call)
    assert decision.call == ToolCall("tag", {})
    assert decision.text.endswith("</tool_call>")


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("tag", "{", "the arguments of tag are no JSON"),
        ("tag", "[1]", "the arguments of tag are no object"),
        ("segment", '{"box": [NaN, 0, 1, 1]}', "the arguments of segment are no JSON"),
        ("segment", '{"box": [1e999, 0, 1, 1]}', "the arguments of segment are no JSON"),
        ("tag", "[" * 3000, "the arguments of tag are no JSON"),
        ("tag", '{"a": "' + "x" * 5000 + '"}', "write at most 4000"),
        (7, "{}", "the call has no name"),
    ],
)
def test_calls_that_nobody_can_read_are_told_to_the_planner(name, arguments, reason) -> None:
    with endpoint([said(name=name, arguments=arguments)]) as (url, _):
        decision = _decide(url)
    assert isinstance(decision, Misread)
    assert reason in decision.reason


def test_masks_are_not_the_planners_to_promise() -> None:
    with endpoint([said("It is here [SEG] and not there [REJ].")]) as (url, _):
        decision = _decide(url)
    assert isinstance(decision, Say)
    assert "[SEG]" not in decision.text
    assert "[REJ]" not in decision.text
    assert decision.segments == ()


def test_boxes_are_carried_from_the_shown_picture_to_the_real_one() -> None:
    view = _view(Conversation().ask("Where?", 0), size=(400, 200))
    with endpoint([said(name="segment", arguments='{"box": [10, 20, 50, 40]}')]) as (url, heard):
        decision = _decide(url, view, max_side=100)
    assert isinstance(decision, Call)
    assert decision.call.arguments == {"box": [40, 80, 200, 160]}
    assert '"box": [10, 20, 50, 40]' in decision.text, "the planner reads its own numbers again"
    assert "100 wide and 50 high" in heard.bodies[0]["messages"][0]["content"]


def test_points_in_thousandths_are_carried_too() -> None:
    view = _view(Conversation().ask("Where?", 0), size=(400, 200))
    arguments = '{"points": [[500, 500], [1000, 0]]}'
    with endpoint([said(name="segment", arguments=arguments)]) as (url, _):
        decision = _decide(url, view, units="thousandths")
    assert isinstance(decision, Call)
    assert decision.call.arguments == {"points": [[200, 100], [400, 0]]}


def test_a_list_of_boxes_becomes_as_many_calls_and_one_question() -> None:
    text = '```json\n[{"bbox_2d": [0, 0, 9, 9], "label": "cup"}, {"point_2d": [5, 6]}]\n```'
    conversation = Conversation().ask("Where are the cups?", 0)
    with endpoint([said(text), said("There: #1 and #2.")]) as (url, heard):
        first = _decide(url, _view(conversation))
        assert isinstance(first, Call)
        assert first.call == ToolCall("segment", {"box": [0, 0, 9, 9]})
        conversation = conversation.answer(first.text).observe("1 masks: #1")
        second = _decide(url, _view(conversation))
        assert isinstance(second, Call)
        assert second.call == ToolCall("segment", {"points": [[5, 6]]})
        assert len(heard.bodies) == 1
        conversation = conversation.answer(second.text).observe("1 masks: #2")
        assert _answer(_decide(url, _view(conversation))) == "There: #1 and #2."
    roles = [message["role"] for message in heard.bodies[1]["messages"]]
    assert roles == ["system", "user", "assistant", "user", "assistant", "tool"]


def test_a_planner_that_can_only_point_ends_with_what_it_pointed_at() -> None:
    text = '[{"bbox_2d": [0, 0, 9, 9]}]'
    conversation = Conversation().ask("Where?", 0).answer(text).observe("1 masks: #1 cup")
    with endpoint([said(text)]) as (url, _):
        assert _answer(_decide(url, _view(conversation))) == "#1 cup"


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ('{"bbox": [1, 2, 3, 4]}', 1),
        ('[{"box": [1, 2, 3, 4], "point": [1, 1]}]', 1),
        ('[{"box": [1, 2, 3]}, {"point_2d": ["1", 2]}, 7, {"label": "cup"}]', 0),
        ("The box is [1, 2, 3, 4].", 0),
        ('[{"box": [NaN, 2, 3, 4]}]', 0),
        ("[" * 10_000, 0),
        (json.dumps([{"point": [1, 2]}] * 50), 12),
    ],
)
def test_lists_of_places_are_read_and_nothing_else(text: str, places: int) -> None:
    assert len(read_places(text)) == places


def test_what_is_no_number_is_left_to_the_tool_to_refuse() -> None:
    call = ToolCall("segment", {"box": "everything", "points": [[1, "2"]]})
    assert Scale(2, 2).call(call) == call
    assert Scale(2, 2).call(ToolCall("crop", {"box": [1, 1, 1, 1]})).arguments["box"] == [1] * 4


# --- What goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer({}, 401), r"does not accept the key \(HTTP 401\): set .* PLANNER_KEY"),
        (Answer({}, 403), r"does not accept the key \(HTTP 403\)"),
        (Answer({}, 404), r"no such address or model \(HTTP 404\)"),
        (Answer({}, 429), r"too much to do \(HTTP 429\): try again later"),
        (Answer({}, 500), r"failed \(HTTP 500\)"),
        (Answer(b"<html>", 503), r"failed \(HTTP 503\)"),
        (Answer({}, 302, {"Location": "http://127.0.0.1:9/"}), r"sends us elsewhere \(HTTP 302\)"),
        (Answer({"error": {"message": "no model"}}, 400), r"refused .*\(HTTP 400\) \(no model\)"),
        (Answer(b"not json"), "is no chat completion"),
        (Answer({"choices": []}), "is no chat completion"),
        (Answer({"choices": [{"message": {"content": 7}}]}), "is no chat completion"),
        (Answer(b"[" * 100_000), "is no chat completion"),
        (Answer([1]), "is no chat completion"),
        (said(""), "answered nothing"),
        (Answer(b"x" * (MAX_RESPONSE_BYTES + 1)), "answered more than 1,048,576 bytes"),
    ],
)
def test_each_failure_is_one_sentence_without_the_key(answer, message, caplog) -> None:
    with caplog.at_level(logging.DEBUG), endpoint([answer]) as (url, _):
        with pytest.raises(PlannerError, match=message) as caught:
            _decide(url)
    told = str(caught.value)
    assert KEY not in told
    assert KEY not in caplog.text
    assert told.endswith(".")
    assert "\n" not in told


def test_an_endpoint_that_repeats_the_key_does_not_get_it_shown() -> None:
    with endpoint([Answer({"error": {"message": f"bad key {KEY}" + "." * 300}}, 400)]) as (url, _):
        with pytest.raises(PlannerError, match=r"bad key \*\*\*") as caught:
            _decide(url)
    assert KEY not in str(caught.value)


def test_redirects_are_not_followed_with_the_key() -> None:
    with endpoint([said("Gotcha.")]) as (other, stolen):
        there = Answer({}, 307, {"Location": f"{other}/chat/completions"})
        with endpoint([there]) as (url, _), pytest.raises(PlannerError, match="elsewhere"):
            _decide(url)
    assert stolen.paths == []


def test_an_endpoint_that_is_not_there_cannot_be_reached() -> None:
    with pytest.raises(PlannerError, match=r"cannot be reached \(ConnectError\)"):
        _decide("http://127.0.0.1:1/v1")


@pytest.mark.parametrize("answer", [Answer({}, wait=5), Answer(b"x" * 1000, drops=0.05)])
def test_slow_endpoints_are_given_up(answer: Answer) -> None:
    start = time.monotonic()
    with endpoint([answer]) as (url, _), pytest.raises(PlannerError, match="did not answer"):
        _decide(url, seconds=0.5)
    assert time.monotonic() - start < 4


def test_the_turns_own_time_counts_too() -> None:
    view = _view(Conversation().ask("What?", 0), cancellation=Cancellation(0.3))
    with (
        endpoint([Answer({}, wait=5)]) as (url, _),
        pytest.raises(PlannerError, match="within 0 s"),
    ):
        _decide(url, view)


def test_a_cancelled_turn_reads_no_further() -> None:
    view = _view(Conversation().ask("What?", 0))
    view.cancellation.cancel()
    with endpoint([said("A cup.")]) as (url, _), pytest.raises(TurnCancelled):
        _decide(url, view)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:8000", "must begin with http"),
        ("file:///etc/passwd", "must begin with http"),
        ("http://me:secret@host/v1", "no password"),
        ("http://host/v1?key=secret", "no password and no query"),
    ],
)
def test_addresses_that_hold_secrets_or_are_none_are_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Endpoint(url, "m")
    assert "secret" not in str(caught.value)


def test_a_key_that_could_break_out_of_its_header_is_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLANNER_KEY", "abc\r\nHost: evil")
    with endpoint([said("A cup.")]) as (url, heard):
        with pytest.raises(ConfigError, match="PLANNER_KEY has characters") as caught:
            _decide(url)
    assert "evil" not in str(caught.value)
    assert heard.paths == []


# --- A whole turn ---------------------------------------------------------------------------------


def test_a_turn_goes_through_tools_to_an_answer() -> None:
    answers = [
        said(name="fly", arguments="{}"),
        said(name="segment", arguments='{"text": "the apple"}'),
        said(name="measure", arguments='{"what": "area", "segments": ["#1"]}'),
        said("#1 apple is 3.5 % of the picture."),
    ]
    with endpoint(answers) as (url, heard):
        session = ChatSession(workbench(), decider=PlannerDecider(_planner(url)))
        session.add_picture(picture())
        turn = session.ask("How large is the apple?")
    observed = [step for step in turn.steps if isinstance(step, Observed)]
    assert [step.is_error for step in observed] == [True, False, False]
    assert "there is no tool" in observed[0].text
    assert observed[2].text == "#1 apple: 3.5 % of the picture, 144 pixels"
    assert turn.answer.text == "#1 apple is 3.5 % of the picture."
    assert [one.label for one in session.segments] == ["#1 apple"]
    assert heard.bodies[2]["messages"][-1]["content"] == "1 masks: #1 apple"
