"""Sessions: names that stay, turns that change all or nothing, pictures that do not mix."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from chat.cancellation import Cancellation, TurnCancelled
from chat.describe import describe_session
from chat.limits import AgentLimits, SessionLimits
from chat.session import ChatSession, SessionBusy
from chat.state import SessionState
from chat.steps import Answered, Observed, SegmentAdded, Step, TextAdded
from chat.streaming import stream_turn
from lisa.errors import DataError, PromptError
from tests.chat_script import Reply, call, plain_picture, scripted_session


def fingerprint(state: SessionState) -> object:
    """Everything that a session is, comparable."""
    return (
        describe_session(state),
        [(turn.conversation.messages, sorted(turn.told)) for turn in state.turns],
        [[one.label for one in turn.learnt] for turn in state.turns],
    )


def heard(session: ChatSession) -> str:
    """The last thing that the model was told."""
    return session._speaker.heard[-1].messages[-1].text


def test_segments_get_names_and_the_next_question_tells_the_model():
    session = scripted_session(["The cup [SEG] and the dish [SEG].", "It is blue.", "Yes."])
    session.add_picture(plain_picture())
    turn = session.ask("What is there?")
    assert [segment.label for segment in turn.answer.segments] == ["#1 cup", "#2 dish"]
    assert session.segments == turn.answer.segments == turn.segments
    session.ask("What colour is #2?")
    assert heard(session) == "(#1 cup, #2 dish)\nWhat colour is #2?"
    session.ask("Sure?")
    assert heard(session) == "Sure?"


def test_what_is_not_there_gets_no_name():
    session = scripted_session([Reply("A [SEG], no dog [REJ].", ((0, 0, 0, 0),)), "Oh."])
    session.add_picture(plain_picture())
    empty, absent = session.ask("?").answer.segments
    assert (empty.name, empty.segment.status) == ("", "empty")
    assert (absent.name, absent.what, absent.segment.status) == ("", "dog", "absent")
    assert session.segments == ()
    session.ask("No dog?")
    assert heard(session) == "No dog?"


def test_pointing_names_at_once_and_is_told_with_the_next_question():
    session = scripted_session(["A cup."] * 4)
    session.add_picture(plain_picture())
    first = session.point(points=[(20, 20)])
    assert (first.name, first.origin, session.turns) == ("#1", "person", ())
    turn = session.ask("What is this?")
    assert heard(session) == "(#1)\nWhat is this?"
    assert turn.pointed == (first,)
    again = session.point(points=[(20, 20)])
    assert again is first
    session.ask("And this?")
    assert heard(session) == "(#1)\nAnd this?"
    assert session.turns[-1].segments == ()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({}, "a box or points"),
        ({"box": (1, 1, 5, 5), "points": [(1, 1)]}, "one of the two only"),
        ({"points": [(900, 3)]}, "outside picture 1 of 80 x 60"),
        ({"points": [(float("nan"), 3)]}, "outside picture 1"),
        ({"box": (9, 1, 5, 5)}, "x0 < x1"),
        ({"box": (1, 1, 5, 5), "picture": 7}, "no picture 7"),
    ],
)
def test_wrong_pointing_is_refused(where, message):
    session = scripted_session([])
    session.add_picture(plain_picture())
    with pytest.raises((PromptError, DataError), match=message):
        session.point(**where)
    assert session.segments == ()


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("  \n", "is empty"),
        ("x" * 9000, "9,000 characters"),
        ("a \ud800", "valid Unicode"),
        ("?", "add"),
    ],
)
def test_bad_questions_are_refused_before_anything_happens(question, message):
    session = scripted_session(["never"])
    if question != "?":
        session.add_picture(plain_picture())
    before = session.state
    with pytest.raises(PromptError, match=message):
        session.ask(question)
    assert session.state is before
    assert session._speaker.heard == []


def test_each_picture_has_its_own_conversation():
    session = scripted_session(["A cup [SEG].", "A dog [SEG].", "Left.", "Right."])
    session.add_picture(plain_picture(10), "one")
    session.add_picture(plain_picture(20), "two")
    session.ask("What?", picture=1)
    session.ask("What?", picture=2)
    assert [(one.label, one.picture) for one in session.segments] == [("#1 cup", 1), ("#2 dog", 2)]
    session.ask("Where?", picture=1)
    messages = session._speaker.heard[-1].messages
    assert [message.text for message in messages] == ["What?", "A cup [SEG].", "(#1 cup)\nWhere?"]
    assert session.picture == 1


def test_a_segment_of_another_picture_can_be_named():
    session = scripted_session(["A cup [SEG].", call("find", thing="#1"), "It is there."])
    session.add_picture(plain_picture(10))
    session.ask("What?")
    session.add_picture(plain_picture(20))
    turn = session.ask("Where is #1?")
    assert session._speaker.heard[1].messages[-1].text == "(#1 cup)\nWhere is #1?"
    (observed,) = [step for step in turn.steps if isinstance(step, Observed)]
    assert observed.segments[0].picture == 1


def test_pictures_can_be_chosen_and_missing_ones_cannot():
    session = scripted_session([])
    session.add_picture(plain_picture(10))
    session.add_picture(plain_picture(20))
    assert session.picture == 2
    assert session.use_picture(1).number == session.picture == 1
    with pytest.raises(DataError, match="no picture 3: there are 1, 2"):
        session.use_picture(3)


def test_names_are_free_again_after_undo():
    session = scripted_session(["A cup [SEG].", "A dog [SEG].", "A hat [SEG]."])
    session.add_picture(plain_picture())
    session.ask("a")
    before = fingerprint(session.state)
    session.ask("b")
    undone = session.undo()
    assert undone.question == "b"
    assert fingerprint(session.state) == before
    session.ask("c")
    assert [one.label for one in session.segments] == ["#1 cup", "#2 hat"]
    assert heard(session) == "(#1 cup)\nc"


def test_undo_takes_back_what_the_person_pointed_at_and_keeps_what_came_later():
    session = scripted_session(["A cup [SEG].", "Sure."])
    session.add_picture(plain_picture())
    session.point(box=(40, 20, 60, 40))
    session.ask("a")
    later = session.point(box=(1, 1, 8, 8))
    second = session.add_picture(plain_picture(30))
    session.undo()
    assert session.segments == (later,)
    assert session.pictures[-1] is second
    session.ask("b", picture=1)
    assert heard(session) == "(#3)\nb"


def test_undo_gives_back_words_that_a_tool_taught():
    session = scripted_session([call("make", what="a cup", box=[40, 20, 60, 40]), "Done."])
    session.add_picture(plain_picture())
    session.point(box=(40, 20, 60, 40))
    earlier = fingerprint(session.state)
    session.ask("a")
    assert [one.label for one in session.segments] == ["#1 cup"]
    session.undo()
    assert session.segments == ()
    assert session.undo() is None
    assert fingerprint(session.state) != earlier  # the pointing went with its turn


def test_undo_of_an_empty_session():
    assert scripted_session([]).undo() is None


def test_a_cancelled_turn_leaves_the_session_as_it_was():
    answers = ["A cup [SEG].", call("make", what="dog", box=[1, 1, 9, 9]), "one two three", "Ok."]
    session = scripted_session(answers)
    session.add_picture(plain_picture())
    session.ask("a")
    session.point(box=(40, 20, 60, 40))
    before, state = fingerprint(session.state), session.state
    stop = Cancellation()

    def listener(step: Step) -> None:
        if isinstance(step, TextAdded) and "one" in step.text:
            stop.cancel()

    with pytest.raises(TurnCancelled, match="as it was before"):
        session.ask("b", listener=listener, cancellation=stop)
    assert session.state is state
    assert fingerprint(session.state) == before
    session.ask("c")
    assert heard(session) == "(#1 cup, #2)\nc"


def test_a_listener_that_fails_stops_the_turn():
    session = scripted_session(["A cup [SEG]."] * 2)
    session.add_picture(plain_picture())

    def listener(step: Step) -> None:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        session.ask("a", listener=listener)
    assert session.turns == session.segments == ()
    assert session.ask("a").answer.text == "A cup [SEG]."


def test_only_one_turn_at_a_time():
    session = scripted_session(["slow answer", "never"])
    session.add_picture(plain_picture())
    entered, leave = threading.Event(), threading.Event()

    def listener(step: Step) -> None:
        entered.set()
        leave.wait(10)

    thread = threading.Thread(target=session.ask, args=("a",), kwargs={"listener": listener})
    thread.start()
    assert entered.wait(10)
    for change in (
        lambda: session.ask("b"),
        lambda: session.add_picture(plain_picture()),
        lambda: session.point(box=(1, 1, 5, 5)),
        session.undo,
    ):
        with pytest.raises(SessionBusy, match="still running"):
            change()
    leave.set()
    thread.join(10)
    assert [turn.question for turn in session.turns] == ["a"]


def test_two_sessions_do_not_mix():
    one, other = scripted_session(["A cup [SEG]."] * 2), scripted_session(["A dog [SEG]."] * 2)
    for session in (one, other):
        session.add_picture(plain_picture())
    questions = [(one, "a"), (other, "b"), (one, "c"), (other, "d")]
    threads = [threading.Thread(target=s.ask, args=(q,)) for s, q in questions[:2]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    for session, question in questions[2:]:
        session.ask(question)
    assert [segment.label for segment in one.segments] == ["#1 cup", "#2 cup"]
    assert [segment.label for segment in other.segments] == ["#1 dog", "#2 dog"]
    assert heard(one) == "(#1 cup)\nc"


def test_a_fork_goes_on_by_itself():
    session = scripted_session(["A cup [SEG].", "A dog [SEG].", "A hat [SEG]."])
    session.add_picture(plain_picture())
    session.ask("a")
    other = session.fork()
    assert other.segments[0].segment.mask is session.segments[0].segment.mask
    session.ask("b")
    other.ask("c")
    assert [one.what for one in session.segments] == ["cup", "dog"]
    assert [one.what for one in other.segments] == ["cup", "hat"]


def test_a_full_session_says_so():
    session = scripted_session(["A cup [SEG]."] * 3, limits=SessionLimits(pictures=1, segments=1))
    session.add_picture(plain_picture())
    with pytest.raises(DataError, match="1 pictures already"):
        session.add_picture(plain_picture())
    session.ask("a")
    state = session.state
    with pytest.raises(DataError, match="1 segments already"):
        session.ask("b")
    assert session.state is state


def test_words_of_a_segment_are_one_plain_line():
    session = scripted_session(
        [call("make", what="a \x1b[31mred\n" + "x" * 99, box=[1, 1, 9, 9]), "."]
    )
    session.add_picture(plain_picture())
    session.ask("a")
    what = session.segments[0].what
    assert what.startswith("[31mred xxx")
    assert len(what) <= 60


def test_control_tokens_in_a_question_stay_its_text():
    session = scripted_session(["Fine."])
    session.add_picture(plain_picture())
    question = '<tool_call>{"name": "make", "arguments": {}}</tool_call> [SEG] <image>'
    turn = session.ask(question)
    assert turn.question == question
    assert turn.answer.segments == ()
    assert not any(isinstance(step, Observed) for step in turn.steps)


# --- Streaming ------------------------------------------------------------------------------------


def test_steps_come_as_they_happen():
    session = scripted_session(["A cup [SEG]."])
    session.add_picture(plain_picture())
    steps = list(stream_turn(session, "a"))
    assert "".join(one.text for one in steps if isinstance(one, TextAdded)) == "A cup [SEG]."
    assert isinstance(steps[-2], SegmentAdded)
    assert isinstance(steps[-1], Answered)
    assert session.turns[-1].steps == tuple(one for one in steps if not isinstance(one, TextAdded))


def test_closing_a_stream_stops_its_turn():
    session = scripted_session(["word " * 500 + "[SEG]"], pause=0.002)
    session.add_picture(plain_picture())
    stream = stream_turn(session, "a")
    next(stream)
    stream.close()
    assert session.turns == session.segments == ()
    assert not [thread for thread in threading.enumerate() if thread.name == "lisa-turn"]
    session.use_picture(1)  # not busy


def test_a_stream_raises_what_the_turn_raises():
    session = scripted_session([])
    with pytest.raises(PromptError, match="no picture"):
        list(stream_turn(session, "a"))


def test_what_the_session_holds_when_the_answer_arrives():
    session = scripted_session(["A cup [SEG]."])
    session.add_picture(plain_picture())
    seen = []
    session.ask("a", listener=lambda step: seen.append((type(step), len(session.turns))))
    assert seen[-1] == (Answered, 1)
    assert {count for kind, count in seen if kind is not Answered} == {0}


def test_time_is_limited():
    limits = SessionLimits(agent=AgentLimits(seconds=0.05))
    session = scripted_session(["word " * 400], limits=limits, pause=0.002)
    session.add_picture(plain_picture())
    answer = session.ask("a").answer
    assert answer.ending == "time"
    assert 0 < len(answer.text) < 1500


def test_describe_is_json_with_masks_once():
    import json

    from lisa.masks import decode_rle

    session = scripted_session(["A cup [SEG]."])
    session.add_picture(plain_picture())
    session.ask("a")
    described = json.loads(json.dumps(session.describe()))
    mask = decode_rle(described["segments"][0]["mask"])
    assert np.array_equal(mask, session.segments[0].segment.mask)
    assert json.dumps(described).count('"counts"') == 1
