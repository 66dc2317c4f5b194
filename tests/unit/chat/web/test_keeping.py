import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chat.session import ChatSession
from chat.web.archive import ArchiveLimits, pack_session, unpack_session
from chat.web.keeping import KEEPERS
from lisa.errors import DataError
from tests.chat_script import plain_picture
from tests.web_page import CUP, scripted_sessions

SESSIONS = scripted_sessions()


@pytest.fixture
def session() -> ChatSession:
    session = SESSIONS.new()
    session.add_picture(plain_picture(size=(160, 120)), "table.png")
    session.ask("What stands here?")
    return session


def test_saved_session_opens_again(session: ChatSession, tmp_path: Path):
    unpack_session(pack_session(session), tmp_path, ArchiveLimits())
    again = SESSIONS.load(tmp_path)
    assert again.describe() == session.describe()


def test_masks_are_the_masks(session: ChatSession):
    kept = KEEPERS["Masks"](session)
    with zipfile.ZipFile(io.BytesIO(kept.content)) as archive:
        assert archive.namelist() == ["picture_1_segment_1_cup.png", "picture_1_segment_2_fork.png"]
        mask = np.asarray(Image.open(archive.open("picture_1_segment_1_cup.png")))
    assert mask.shape == (120, 160)
    assert mask.sum() == (CUP[2] - CUP[0]) * (CUP[3] - CUP[1])


def test_json_is_the_session(session: ChatSession):
    assert json.loads(KEEPERS["JSON"](session).content) == json.loads(
        json.dumps(session.describe())
    )


def test_report_is_a_page(session: ChatSession):
    assert KEEPERS["Report"](session).content.startswith(b"<!doctype html>")


@pytest.mark.parametrize("name", KEEPERS)
def test_nothing_to_keep_is_said(name: str):
    with pytest.raises(DataError, match="yet"):
        KEEPERS[name](SESSIONS.new())


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (ArchiveLimits(bytes=10), "above the limit of 10"),
        (ArchiveLimits(files=2), "too many files"),
        (ArchiveLimits(unpacked_bytes=10), "unpacks to more than 10"),
        (ArchiveLimits(json_bytes=10), "session.json has more than 10"),
        (ArchiveLimits(pixels=20_000), "more than 20,000 pixels"),
    ],
)
def test_limits_hold(session: ChatSession, tmp_path: Path, limits: ArchiveLimits, words: str):
    with pytest.raises(DataError, match=words):
        unpack_session(pack_session(session), tmp_path, limits)
