"""`lisa chat` as people use it: eight turns with lisa-nano, as a session and as a command."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lisa as package
from chat.limits import AgentLimits, SessionLimits
from chat.session import ChatSession
from chat.state import Turn
from chat.steps import Observed, TextAdded, ToolCalled
from chat.streaming import stream_turn
from chat.workbench import ModelChoice, Workbench
from lisa.cli import main

DEMO = Path(package.__file__).parent / "nano" / "demo" / "scene.jpg"

# What the demo picture asks for: an avocado on the right, a flamingo and a ship above it.
TAG = "What is in the picture?"
REASON = "Which of these is mashed into guacamole?"
FOLLOW_UP = "How large is #1?"
RELATION = "What is above #1?"
COUNT = "How many fruits are there?"
SHOWN = "Segment the strawberry."
ABSENT = "Is there a zebra?"


PATIENT = SessionLimits(agent=AgentLimits(seconds=1800))
"""Machines that run tests are busy; none of these is about time."""


@pytest.fixture(scope="module")
def bench() -> Workbench:
    """The real models."""
    return Workbench(ModelChoice(device="cpu", offline=True))


def tools(turn: Turn) -> list[str]:
    """The tools that a turn called."""
    return [step.tool for step in turn.steps if isinstance(step, ToolCalled)]


def observed(turn: Turn) -> Observed:
    """What its last tool answered."""
    return [step for step in turn.steps if isinstance(step, Observed)][-1]


def check_dialogue(session: ChatSession) -> None:
    """Ask the first six questions."""
    turn = session.ask(TAG)
    assert tools(turn) == ["tag"]
    assert "avocado" in turn.answer.text
    turn = session.ask(REASON)
    (avocado,) = turn.answer.segments
    assert avocado.segment.status == "found"
    rows, columns = np.nonzero(avocado.segment.mask)
    assert 140 < columns.mean() < 256 and 150 < rows.mean() < 230
    turn = session.ask(FOLLOW_UP.replace("#1", avocado.name))
    assert tools(turn) == ["measure"]
    assert [one["segment"] for one in observed(turn).data["areas"]] == [avocado.name]
    share = f"{100 * avocado.segment.mask.mean():.1f} %"
    assert share in observed(turn).text
    assert share in turn.answer.text
    turn = session.ask(RELATION.replace("#1", avocado.name))
    assert tools(turn) == ["relate"]
    assert "above" in observed(turn).text
    turn = session.ask(COUNT)
    assert tools(turn) == ["measure"]
    assert observed(turn).text.partition(":")[0] in turn.answer.text
    turn = session.ask(ABSENT)
    assert [one.segment.status for one in turn.answer.segments] == ["absent"]


@pytest.mark.slow
def test_eight_turns_in_a_session(bench: Workbench, tmp_path: Path):
    session = ChatSession(bench, limits=PATIENT)
    session.add_picture(DEMO)
    before = bench.encodings
    check_dialogue(session)
    assert bench.encodings == before + 1
    assert session.undo().question == ABSENT
    names = [one.label for one in session.segments]
    session.save(tmp_path / "saved")
    again = ChatSession.load(tmp_path / "saved", bench, limits=PATIENT)
    assert [one.label for one in again.segments] == names
    turn = again.ask(FOLLOW_UP)
    assert tools(turn) == ["measure"]
    assert [one["segment"] for one in observed(turn).data["areas"]] == ["#1"]


@pytest.mark.slow
def test_a_follow_up_reads_only_what_is_new(bench: Workbench):
    session = ChatSession(bench, limits=PATIENT)
    session.add_picture(DEMO)
    session.ask(REASON)
    before = bench.encodings
    (reading,) = session._speaker._readings._kept.values()
    # With the beginning of the next question, and of an answer that is never given.
    read = len(reading.ids)
    reused = []
    for step in stream_turn(session, SHOWN):
        if isinstance(step, TextAdded):
            reused.append(reading.reused)
    assert bench.encodings == before
    assert reused[0] > read - 12
    assert session.turns[-1].answer.ending == "done"


@pytest.mark.slow
def test_what_is_read_ahead_changes_no_answer(bench: Workbench, monkeypatch: pytest.MonkeyPatch):
    questions = (REASON, FOLLOW_UP, "And what is it made of?")

    def answers() -> list[str]:
        session = ChatSession(bench, limits=PATIENT)
        session.add_picture(DEMO)
        return [session.ask(question).answer.text for question in questions]

    ahead = answers()
    monkeypatch.setattr(ChatSession, "_read_ahead", lambda *_: None)
    assert answers() == ahead


@pytest.mark.slow
def test_a_stopped_answer_leaves_the_session(bench: Workbench):
    session = ChatSession(bench, limits=PATIENT)
    session.add_picture(DEMO)
    session.ask(REASON)
    before = session.state
    stream = stream_turn(session, SHOWN)
    assert isinstance(next(stream), TextAdded)
    stream.close()
    assert session.state is before
    assert session.ask(FOLLOW_UP).answer.text


def command(folder: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments of `lisa chat` whose input is these lines."""
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    arguments = ["chat", str(DEMO), "--out", str(folder), "--device", "cpu", "--offline"]
    return [*arguments, "--seconds", "1800"]


@pytest.mark.slow
def test_eight_turns_in_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    questions = [TAG, REASON, FOLLOW_UP, RELATION, COUNT, ABSENT]
    lines = [*questions, "/undo", "/save", f"/open {tmp_path / 'saved'}", FOLLOW_UP, "/quit", "no"]
    assert main(command(tmp_path, lines, monkeypatch)) == 0
    said = capsys.readouterr().out
    for expected in (
        "> tag()",
        "things: ",
        "#1 ",
        "> measure(what=area",
        "> relate(",
        "> measure(what=count",
        "absent: zebra",
        f"Taken back: {ABSENT}",
        f"Saved in {tmp_path / 'saved'}",
        "goes on after 5 questions",
    ):
        assert expected in said
        said = said[said.index(expected) :]
    assert "> measure(what=area" in said
    mask = np.asarray(Image.open(tmp_path / "mask_1.png"))
    assert 0.01 < mask.mean() < 0.5
    assert (tmp_path / "overlay_2.png").exists()
    assert "avocado" in (tmp_path / "saved" / "report.html").read_text()


def test_a_wrong_picture_is_told_before_models_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert main(["chat", "nowhere.jpg"]) == 2
    assert "there is no file 'nowhere.jpg'" in capsys.readouterr().err
    assert not (tmp_path / "lisa_chat").exists()


def test_commands_need_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("chat.workbench.Workbench.pipeline", property(lambda _: 1 / 0))
    assert main(command(tmp_path, ["/help", "/undo", "/segments"], monkeypatch)) == 0
    assert "Ctrl-C stops an answer" in capsys.readouterr().out
