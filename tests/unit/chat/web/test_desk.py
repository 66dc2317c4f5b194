import threading
import time
from pathlib import Path

import pytest

from chat.safety.limits import SafetyLimits
from chat.web.desk import Desk
from lisa.errors import ImageError
from tests.chat_script import plain_picture
from tests.web_page import scripted_sessions


@pytest.fixture
def desk() -> Desk:
    desk = Desk(scripted_sessions(), SafetyLimits())
    desk.add([("grey.png", lambda: plain_picture(size=(160, 120)))])
    return desk


def test_picture_is_sent_once(desk: Desk):
    assert desk.everything().source is None
    desk.add([("dark.png", lambda: plain_picture(9))])
    assert desk.turn_to({"number": 1}).source.startswith("data:image/png")


def test_turn_is_shown_as_it_comes(desk: Desk):
    shown = list(desk.ask("What stands here?"))
    assert shown[0].question == "" and shown[0].talk["busy"]
    arrived = [len(one.stage["segments"]) for one in shown if one.stage is not None]
    assert len(arrived) == 3 and arrived[-1] == 2
    last = shown[-1].talk
    assert not last["busy"] and last["live"] is None and len(last["turns"]) == 1
    assert last["notice"] is None


def test_suggestion_leaves_what_was_typed(desk: Desk):
    assert {one.question for one in desk.ask("What stands here?", typed=False)} == {None}
    assert list(desk.ask(" ", typed=False))[-1].question is None


@pytest.mark.parametrize("question", ["   ", "x" * 9000])
def test_bad_question_is_explained_and_kept(desk: Desk, question: str):
    last = list(desk.ask(question))[-1]
    assert last.talk["notice"]["kind"] == "error"
    assert "question" in last.talk["notice"]["text"]
    assert last.question == question
    assert not last.talk["turns"]


def test_stopped_turn_gives_the_question_back():
    desk = Desk(scripted_sessions(pause=0.02), SafetyLimits())
    desk.add([("grey.png", plain_picture)])
    shown = []
    for one in desk.ask("A long one"):
        shown.append(one)
        if len(shown) == 4:
            desk.stop()
    assert shown[-1].question == "A long one"
    assert shown[-1].talk["notice"]["kind"] == "info"
    assert not desk.session.turns


def test_second_question_waits(desk: Desk):
    turn = desk.ask("What stands here?")
    next(turn)
    (refused,) = desk.ask("And now?")
    assert refused.talk["notice"]["text"].startswith("Wait")
    assert refused.talk["busy"]
    assert desk.tried(desk.new).talk["notice"]["text"].startswith("Wait")
    assert list(turn)[-1].talk["notice"] is None
    assert len(desk.session.turns) == 1


def test_tab_that_goes_stops_its_turn():
    desk = Desk(scripted_sessions(pause=0.02), SafetyLimits())
    desk.add([("grey.png", plain_picture)])
    turn = desk.ask("A long one")
    next(turn)
    next(turn)
    turn.close()
    begun = time.monotonic()
    while any(one.name == "lisa-turn" for one in threading.enumerate()):
        assert time.monotonic() - begun < 5
    assert list(desk.ask("What stands here?"))[-1].talk["notice"] is None


def test_own_mistake_leaves_the_session_as_it_was(desk: Desk):
    def broken(picture, conversation):
        raise ZeroDivisionError

    desk.session._speaker.script = broken
    last = list(desk.ask("What stands here?"))[-1]
    assert "broke" in last.talk["notice"]["text"]
    assert last.question == "What stands here?"
    assert not last.talk["busy"] and not desk.session.turns


def test_undo_gives_the_question_back_unless_another_is_begun(desk: Desk):
    list(desk.ask("What stands here?"))
    assert desk.undo("").question == "What stands here?"
    list(desk.ask("What stands here?"))
    assert desk.undo("half a question").question is None
    assert not desk.session.segments


def test_new_session_can_be_taken_back(desk: Desk):
    list(desk.ask("What stands here?"))
    desk.new()
    assert not desk.session.turns
    desk.undo("")
    assert len(desk.session.turns) == 1
    assert "no turn" not in str(desk.undo("").talk["notice"])
    assert "no turn" in desk.undo("").talk["notice"]["text"]


def test_pictures_that_cannot_be_opened_keep_no_other_out(desk: Desk):
    def damaged():
        raise ImageError("the picture is damaged.")

    pictures = [("bad.png", damaged), ("good.png", plain_picture)]
    shown = desk.add(pictures)
    assert "bad.png: the picture is damaged." in shown.talk["notice"]["text"]
    assert [one["name"] for one in shown.stage["pictures"]] == ["grey.png", "good.png"]
    many = desk.add([(f"{n}.png", lambda n=n: plain_picture(n)) for n in range(10)])
    assert "2 pictures were left out" in many.talk["notice"]["text"]


def test_pictures_of_a_session_are_bounded_together(desk: Desk, monkeypatch):
    monkeypatch.setattr("chat.web.desk._MOST_PIXELS", 30_000)
    shown = desk.add([("large.png", lambda: plain_picture(size=(160, 120)))])
    assert "more than 30,000 pixels" in shown.talk["notice"]["text"]
    assert len(desk.session.pictures) == 1


def test_turn_whose_reader_was_lost_can_be_left(desk: Desk):
    lost = desk.ask("What stands here?")
    next(lost)
    desk.stop()
    assert list(desk.ask("What stands here?"))[-1].talk["notice"] is None
    lost.close()
    assert len(desk.session.turns) == 1


def test_only_the_last_download_is_kept(desk: Desk, tmp_path: Path):
    first = desk.keep("JSON", tmp_path)
    second = desk.keep("Session", tmp_path)
    assert second.is_file() and not first.exists()
    desk.forget()
    assert list(tmp_path.iterdir()) == []


def test_pointing_names_a_segment(desk: Desk):
    shown = desk.point({"box": [20, 20, 60, 60]})
    assert "#1" in shown.stage["said"]
    assert shown.stage["segments"][0]["origin"] == "person"
    assert "What is #1?" in shown.talk["ideas"]
    refused = desk.tried(lambda: desk.point({"box": [0, 0, 9000, 5]}))
    assert refused.talk["notice"]["kind"] == "error"
    assert len(desk.session.segments) == 1
