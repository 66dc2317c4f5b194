"""Saved sessions: they come back as they were, anywhere, and folders cannot lie."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.session import ChatSession
from chat.storage import load_session, save_session
from lisa.errors import ConfigError, DataError
from tests.chat_script import Reply, ScriptedSpeaker, call, plain_picture, scripted_session
from tests.unit.chat.test_session import fingerprint

BOXES = st.tuples(st.integers(0, 30), st.integers(0, 20), st.integers(31, 80), st.integers(21, 60))
WORDS = st.text(min_size=1, max_size=12)
REPLIES = st.one_of(
    st.builds(lambda words, box: Reply(f"{words} [SEG].", (box,)), WORDS, BOXES),
    st.builds(lambda words: f"{words} [REJ]", WORDS),
    st.builds(lambda words, box: call("make", what=words, box=list(box)), WORDS, BOXES),
    st.builds(lambda words: call("find", thing=words), WORDS),
)
ACTIONS = st.one_of(
    st.tuples(st.just("ask"), WORDS.filter(str.strip), st.lists(REPLIES, max_size=3)),
    st.tuples(st.just("point"), BOXES),
    st.tuples(st.just("undo")),
    st.tuples(st.just("picture"), st.integers(0, 255)),
    st.tuples(st.just("use"), st.integers(1, 3)),
)


def play(session: ChatSession, actions) -> None:
    """Do to a session what people do."""
    for kind, *rest in actions:
        if kind == "ask":
            session._speaker.script = [*session._speaker.heard, *rest[1], "Done."]
            session.ask(rest[0])
        elif kind == "point":
            session.point(box=tuple(map(float, rest[0])))
        elif kind == "undo":
            session.undo()
        elif kind == "picture":
            session.add_picture(plain_picture(rest[0]))
        elif rest[0] <= len(session.pictures):
            session.use_picture(rest[0])


@settings(max_examples=60, deadline=None)
@given(actions=st.lists(ACTIONS, max_size=8))
def test_what_is_saved_comes_back(tmp_path_factory, actions):
    session = scripted_session([])
    session.add_picture(plain_picture(7), "first \x1b name")
    play(session, actions)
    folder = tmp_path_factory.mktemp("saved")
    save_session(session.state, folder)
    loaded = load_session(folder)
    assert fingerprint(loaded) == fingerprint(session.state)
    again = save_session(loaded, folder / "again")
    assert _files(again) == {k: v for k, v in _files(folder).items() if "/" not in k}


@settings(max_examples=60, deadline=None)
@given(actions=st.lists(ACTIONS, max_size=5), replies=st.lists(REPLIES, max_size=3))
def test_undo_is_the_opposite_of_a_question(actions, replies):
    session = scripted_session([])
    session.add_picture(plain_picture(7))
    play(session, [*actions, ("ask", "first", [])])
    before = fingerprint(session.state)
    play(session, [("ask", "second", replies)])
    session.undo()
    assert fingerprint(session.state) == before


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def saved(tmp_path):
    """A saved session with two pictures and a few segments."""
    script = ["A cup [SEG].", call("make", what="hat", box=[40, 5, 50, 15]), "No dog [REJ]."]
    session = scripted_session(script)
    session.add_picture(plain_picture(50), "one.png")
    session.ask("a")
    session.add_picture(plain_picture(90, (40, 70)))
    session.use_picture(1)
    session.ask("b")
    session.save(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_moved_session_goes_on(saved, tmp_path):
    place = shutil.move(saved, tmp_path / "elsewhere")
    speaker = ScriptedSpeaker(["Sure [SEG]."])
    session = ChatSession.load(place, object(), speaker=speaker, decider=None, tools=())
    from chat.deciders import NativeDecider

    session._decider = NativeDecider(speaker, ())
    assert [one.label for one in session.segments] == ["#1 cup", "#2 hat"]
    assert session.pictures[0].name == "one.png"
    session.ask("c")
    assert session.segments[-1].name == "#3"
    heard = speaker.heard[0].messages
    assert [message.text for message in heard][::6] == ["a", "c"]
    session.undo()
    session.undo()
    assert [one.label for one in session.segments] == ["#1 cup"]


def test_the_folder_holds_json_and_png_only(saved):
    kinds = sorted(path.name.split("_")[0] for path in saved.iterdir())
    assert kinds == ["mask", "mask", "picture", "picture", "session.json"]
    text = (saved / "session.json").read_text()
    assert str(saved.parent) not in text
    assert os.stat(saved / "session.json").st_mode & 0o777 == 0o644


def test_saving_again_leaves_no_rest_and_touches_nothing_else(saved):
    (saved / "mine.txt").write_text("keep")
    (saved / "mask_9_0123456789abcdef.png").write_text("keep")
    session = scripted_session(["A hat [SEG]."])
    session.add_picture(plain_picture(51))
    session.save(saved)
    assert len(list(saved.glob("picture_*"))) == 1
    assert sorted(path.name for path in saved.iterdir() if path.suffix != ".json")[:2] == [
        "mask_9_0123456789abcdef.png",
        "mine.txt",
    ]
    assert load_session(saved).pictures[0].image.getpixel((0, 0)) == (51, 51, 51)


def test_a_save_that_fails_leaves_the_old_session(saved, monkeypatch):
    before = fingerprint(load_session(saved))
    session = scripted_session(["A hat [SEG]."])
    session.add_picture(plain_picture(51))
    session.ask("a")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("chat.storage.os.replace", full)
    with pytest.raises(ConfigError, match="cannot be saved in .*: No space left"):
        session.save(saved)
    monkeypatch.undo()
    assert fingerprint(load_session(saved)) == before
    assert not [path for path in saved.iterdir() if path.name.startswith(".")]


def test_nothing_to_open(tmp_path):
    with pytest.raises(ConfigError, match="not a folder"):
        load_session(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"'session.json' is missing"):
        load_session(tmp_path)


CHANGES = {
    "up": lambda s: s["pictures"][0].update(file="../secret.png"),
    "absolute": lambda s: s["segments"][0].update(mask="/etc/passwd"),
    "other name": lambda s: s["pictures"][0].update(file="session.json"),
    "swapped": lambda s: s["pictures"][0].update(file=s["pictures"][1]["file"]),
    "unknown key": lambda s: s.update(extra=1),
    "later version": lambda s: s.update(version=2),
    "number as text": lambda s: s.update(picture="1"),
    "no such picture": lambda s: s.update(picture=9),
    "picture twice": lambda s: s["pictures"][1].update(number=1),
    "no such segment": lambda s: s.update(named=[77]),
    "segment twice": lambda s: s.update(named=[0, 0]),
    "wild name": lambda s: s["segments"][0].update(name="#1\u001b[31m"),
    "score": lambda s: s["segments"][0].update(score=7.0),
    "segment of no picture": lambda s: s["segments"][0].update(picture=5),
    "mask of another picture": lambda s: s["segments"][0].update(picture=2),
    "no mask": lambda s: s["segments"][0].update(mask=None),
    "no answer": lambda s: s["turns"][0]["steps"].pop(),
    "no steps": lambda s: s["turns"][0].update(steps=[]),
    "role": lambda s: s["turns"][0]["conversation"][0].update(role="root"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_session_is_refused(saved, change):
    stored = json.loads((saved / "session.json").read_text())
    change(stored)
    (saved / "session.json").write_text(json.dumps(stored))
    with pytest.raises(DataError, match="holds no session that can be opened"):
        load_session(saved)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"[" * 100_000, b"\xff\xfe"])
def test_no_json_is_refused(saved, text):
    (saved / "session.json").write_bytes(text)
    with pytest.raises(DataError, match="holds no session"):
        load_session(saved)


def test_a_link_out_of_the_folder_is_not_followed(saved, tmp_path):
    (picture, _) = sorted(saved.glob("picture_*"))
    shutil.move(picture, tmp_path / "secret.png")
    picture.symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match="is no picture|missing, a link"):
        load_session(saved)


def test_a_damaged_mask_is_refused(saved):
    (mask, *_) = sorted(saved.glob("mask_*"))
    mask.write_bytes(mask.read_bytes()[:40])
    with pytest.raises(DataError, match="is no picture that can be read"):
        load_session(saved)
