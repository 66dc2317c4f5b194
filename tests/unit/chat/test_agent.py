"""A turn with tools: calls, observations, errors, limits; and references of every kind."""

from __future__ import annotations

import pytest

from chat.cancellation import Cancellation, TurnCancelled
from chat.limits import AgentLimits, SessionLimits
from chat.session import ChatSession
from chat.steps import Observed, Step, TextAdded, Thought, ToolCalled
from tests.chat_script import FindTool, call, plain_picture, scripted_session

THINGS = {"cup": (40, 20, 60, 40), "blue hat": (2, 2, 12, 12)}


def with_picture(script, **options) -> ChatSession:
    session = scripted_session(script, **options)
    session.add_picture(plain_picture())
    return session


def observations(session: ChatSession) -> list[Observed]:
    return [step for step in session.turns[-1].steps if isinstance(step, Observed)]


def test_a_call_is_answered_and_the_model_goes_on():
    session = with_picture([call("find", thing="cup"), "The cup is #1."], things=THINGS)
    turn = session.ask("Where is the cup?")
    called, observed, answered = turn.steps
    assert isinstance(called, ToolCalled)
    assert (called.tool, called.arguments) == ("find", {"thing": "cup"})
    assert (observed.call_id, observed.text) == (called.call_id, "that is #1 cup")
    assert answered.text == "The cup is #1."
    messages = session._speaker.heard[-1].messages
    assert [message.role for message in messages] == ["user", "assistant", "tool"]
    assert [one.origin for one in session.segments] == ["find"]


def test_call_ids_are_never_twice_the_same():
    session = with_picture(
        [call("find", thing="cup"), "a", call("find", thing="cup"), "b"], things=THINGS
    )
    for question in "ab":
        session.ask(question)
    ids = [s.call_id for turn in session.turns for s in turn.steps if isinstance(s, ToolCalled)]
    assert ids == ["call_1", "call_2"]


def test_nothing_of_a_call_is_streamed():
    text = " Look: " + call("find", thing="cup") + " and I think"
    session = with_picture([text, "Here < it is <tool."], things=THINGS)
    heard = []
    turn = session.ask("?", listener=lambda step: heard.append(step))
    streamed = "".join(step.text for step in heard if isinstance(step, TextAdded))
    assert streamed == " Look: Here < it is <tool."
    assert turn.answer.text == streamed


def test_what_is_written_behind_a_call_is_not_read():
    second = call("find", thing="blue hat")
    session = with_picture([call("find", thing="cup") + second, "ok"], things=THINGS)
    session.ask("?")
    assert len(observations(session)) == 1
    assert "hat" not in session._speaker.heard[-1].messages[1].text


def test_spans_count_from_the_beginning_of_the_whole_answer():
    session = with_picture(["Look. " + call("find", thing="cup"), "The hat [SEG]."], things=THINGS)
    answer = session.ask("?").answer
    begin, end = answer.segments[0].segment.text_span
    assert answer.text[begin:end] == "[SEG]"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (call("nonsense"), 'no tool "nonsense"; there are: find, make'),
        (call("find"), "thing: Field required"),
        (call("find", thing=3), "valid string"),
        (call("find", thing="cup", more=1), "more: Extra inputs"),
        (call("find", thing="dog"), "no dog in picture 1"),
        (call("find", thing="#9"), "no segment #9; there are: none yet"),
        (call("find", thing=" the "), "no the"),
        (call("find", thing=""), "reference is empty"),
        (call("make", what="x", box=[1, 1, 9, 9], fail=True), "it broke"),
        (call("make", what="x", box=[5, 5, 5, 5]), "no pixels"),
        ("<tool_call>{nonsense</tool_call>", "no JSON"),
        ('<tool_call>{"name": 3}</tool_call>', "not of the form"),
        (
            '<tool_call>{"name": "find", "arguments": {"thing": "\\ud800"}}</tool_call>',
            "no Unicode",
        ),
        ('<tool_call>{"name": "\\ud800"}</tool_call>', "no Unicode"),
        ('<tool_call>{"name": "make", "arguments": {"box": [NaN]}}</tool_call>', "no JSON"),
        ("<tool_call>" + "[" * 3000 + "</tool_call>", "no JSON"),
        ("<tool_call>" + "x" * 5000 + "</tool_call>", "5000 characters"),
    ],
)
def test_errors_become_observations_and_the_turn_goes_on(written, message):
    session = with_picture([written, "I see."], things=THINGS)
    turn = session.ask("?")
    assert turn.answer.text == "I see."
    assert turn.answer.ending == "done"
    told = session._speaker.heard[-1].messages[-1]
    assert told.role == "tool"
    assert told.text.startswith("error: ")
    assert message in told.text
    assert session.segments == ()
    kinds = [type(step) for step in turn.steps]
    assert kinds[:-1] == (
        [Thought] if not written.startswith("<tool_call>\n") else [ToolCalled, Observed]
    )


def test_a_mistake_of_ours_is_not_hidden():
    class Broken(FindTool):
        name = "broken"

        def run(self, arguments, scene):
            raise ZeroDivisionError

    session = with_picture([call("broken", thing="x")], tools=(Broken(),))
    with pytest.raises(ZeroDivisionError):
        session.ask("?")
    assert session.turns == ()


def test_references():
    script = [
        call("make", what="cup", box=[1, 1, 9, 9]),
        call("make", what="blue cup", box=[20, 20, 30, 30]),
    ]
    asked = ["#1", "#2 blue cup", "1", "the cup", "A Blue Cup", "blue", "hat"]
    names = ["#1", "#2", "#1", "#1", "#2", "#2", "#3"]
    session = with_picture(
        [*script, *(call("find", thing=one) for one in asked), "."],
        things={"hat": (50, 5, 60, 15)},
        limits=SessionLimits(agent=AgentLimits(max_steps=20)),
    )
    session.ask("?")
    assert [one.data["name"] for one in observations(session)[2:]] == names
    assert session.workbench.asked == ["hat"]


def test_the_same_mask_keeps_its_name_and_learns_its_words():
    session = with_picture([call("find", thing="cup"), "There."], things=THINGS)
    session.point(box=THINGS["cup"])
    session.ask("?")
    assert [(one.label, one.origin) for one in session.segments] == [("#1 cup", "person")]


def test_what_tools_say_needs_no_note():
    session = with_picture([call("find", thing="cup"), "A hat [SEG].", "."], things=THINGS)
    session.ask("a")
    session.ask("b")
    assert session._speaker.heard[-1].messages[-1].text == "(#2 hat)\nb"


def test_the_model_is_asked_once_more_at_the_step_limit():
    limits = SessionLimits(agent=AgentLimits(max_steps=2))
    script = [call("find", thing="cup"), call("find", thing="hat"), "Two."]
    session = with_picture(script, limits=limits, things=THINGS)
    answer = session.ask("?").answer
    assert (answer.text, answer.ending) == ("Two.", "done")


def test_a_model_that_never_answers_gives_its_last_observation():
    limits = SessionLimits(agent=AgentLimits(max_steps=3))
    session = with_picture(lambda *_: call("find", thing="cup"), limits=limits, things=THINGS)
    heard: list[Step] = []
    turn = session.ask("?", listener=heard.append)
    assert (turn.answer.text, turn.answer.ending) == ("that is #1 cup", "steps")
    assert len(session._speaker.heard) == 4
    assert TextAdded("that is #1 cup") in heard
    assert turn.conversation.messages[-1].role == "assistant"


def test_a_long_answer_is_cut():
    session = with_picture(
        ["word " * 50], limits=SessionLimits(agent=AgentLimits(max_new_tokens=5))
    )
    answer = session.ask("?").answer
    assert (answer.text.split(), answer.ending) == (["word"] * 5, "length")


def test_the_beginning_of_a_call_that_was_cut_off_is_not_said():
    limits = SessionLimits(agent=AgentLimits(max_new_tokens=2))
    session = with_picture(["Look: <tool_ call>"], limits=limits)
    heard = []
    answer = session.ask("?", listener=heard.append).answer
    assert (answer.text, answer.ending) == ("Look: <tool_ ", "length")
    session = with_picture(["Look: <tool _call>"], limits=limits)
    assert session.ask("?").answer.text == "Look: <tool "


def test_a_turn_can_be_stopped_inside_a_tool():
    class Waiting(FindTool):
        name = "waiting"

        def run(self, arguments, scene):
            scene.cancellation.cancel()
            return super().run(arguments, scene)

    session = with_picture([call("waiting", thing="cup"), "."], tools=(Waiting(),), things=THINGS)
    with pytest.raises(TurnCancelled):
        session.ask("?")
    assert session.segments == session.turns == ()


def test_a_turn_that_is_stopped_already_does_not_begin():
    session = with_picture(["."])
    stop = Cancellation()
    stop.cancel()
    with pytest.raises(TurnCancelled):
        session.ask("?", cancellation=stop)
    assert session._speaker.heard == []


def test_only_trained_tools_are_offered():
    session = with_picture(["."])
    session._decider._offered = ("make", "unknown")
    session.ask("?")
    assert [tool.name for tool in session._speaker.heard[0].tools] == ["make"]
    assert session.turns[0].conversation.tools == ()


def test_a_model_without_tools_may_write_about_calls():
    session = with_picture(["Write <tool_call> in front."], tools=())
    assert session.ask("?").answer.text == "Write <tool_call> in front."
