from __future__ import annotations

from types import SimpleNamespace

import pytest
from mcp.client.client import Client

from chat.mcp_server.http import HttpSettings, connection_of, read_place
from chat.mcp_server.sessions import BookLimits, SessionBook
from chat.safety.keys import ApiKey
from lisa.errors import ConfigError, DataError
from tests.chat_script import plain_picture
from tests.mcp_desk import (
    CUP,
    PICTURE,
    ok,
    scripted_server,
    scripted_tool_session,
    talk,
    texts,
    why,
)


def test_requests_that_stand_alone_name_their_session():
    async def work(client: Client) -> None:
        assert "names no session" in await why(client, "undo")
        assert "names no session" in await why(client, "make", **CUP)
        first = await ok(client, "open_picture", image=PICTURE)
        second = await client.call_tool("make", {**CUP, "image": PICTURE})
        handles = first["session"], second.structured_content["session"]
        assert len(set(handles)) == 2 and all(len(one) >= 20 for one in handles)
        assert f"session: {handles[1]}" in texts(second)
        made = await ok(client, "make", session=handles[0], **CUP)
        assert (made["session"], made["segments"][0]["name"]) == (handles[0], "#1")
        assert "no session 'x'" in await why(client, "make", session="x", **CUP)
        assert "at most 100" in await why(client, "make", session="x" * 101, **CUP)

    talk(scripted_server(connection_of=lambda context: None), work)


def test_saved_sessions_go_on(tmp_path):
    script = ["A cup.", "Still a cup."]

    async def work(client: Client) -> None:
        await ok(client, "make", image=PICTURE, **CUP)
        await ok(client, "ask", question="What is #1?")
        assert (await ok(client, "save", name="mine"))["data"] == {"name": "mine"}
        await ok(client, "undo")
        loaded = await ok(client, "load", name="mine")
        assert loaded["data"] == {"turns": 1, "pictures": 1}
        assert [one["label"] for one in loaded["segments"]] == ["#1 cup"]
        assert (await ok(client, "find", thing="#1"))["picture"] == 1
        assert (await ok(client, "undo"))["data"]["question"] == "What is #1?"
        for name in ("../mine", "/tmp/a", "", "a/b", ".", "mine\n", "a\0b"):
            assert "should match pattern" in await why(client, "save", name=name)
            assert "should match pattern" in await why(client, "load", name=name)
        assert "no saved session 'other'" in await why(client, "load", name="other")

    talk(scripted_server(script, save_dir=tmp_path), work)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_load_begins_a_session_of_its_own(tmp_path):
    session = scripted_tool_session()
    session.add_picture(plain_picture())
    session.save(tmp_path / "mine")

    async def work(client: Client) -> None:
        loaded = await ok(client, "load", name="mine")
        made = await ok(client, "make", session=loaded["session"], **CUP)
        assert made["segments"][0]["name"] == "#1"

    talk(scripted_server(save_dir=tmp_path, connection_of=lambda context: None), work)


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def book_of(**limits) -> tuple[SessionBook, Clock]:
    clock = Clock()
    return SessionBook(scripted_tool_session, BookLimits(**limits), clock), clock


def begin(book: SessionBook) -> str:
    with book.using(None, None, begin=True) as entry:
        assert entry.handle is not None
        return entry.handle


def use(book: SessionBook, handle: str) -> None:
    with book.using(handle, None, begin=False):
        pass


def test_idle_sessions_are_dropped():
    book, clock = book_of(idle_seconds=10)
    handle = begin(book)
    for _ in range(3):
        clock.now += 9
        use(book, handle)
    clock.now += 11
    with pytest.raises(DataError, match="any more"):
        use(book, handle)
    assert len(book) == 0


def test_the_longest_idle_session_makes_room():
    book, clock = book_of(sessions=2)
    first, second = begin(book), begin(book)
    clock.now += 1
    use(book, first)
    begin(book)
    use(book, first)
    with pytest.raises(DataError, match="no session"):
        use(book, second)
    with book.using(first, None, begin=False):
        begin(book)
        begin(book)
    use(book, first)
    assert len(book) == 2


def test_sessions_at_work_are_never_dropped():
    book, clock = book_of(sessions=1, idle_seconds=10)
    with book.using(None, "one", begin=True) as entry:
        clock.now += 100
        with pytest.raises(DataError, match="all 1 sessions of this server are at work"):
            begin(book)
    with book.using(None, "one", begin=True) as again:
        assert again is entry


def test_nobody_names_the_session_of_a_connection():
    book, _ = book_of()
    with book.using(None, "one", begin=True) as entry:
        assert entry.handle is None
    for handle in ("one", "connection one"):
        with pytest.raises(DataError, match="no session"):
            use(book, handle)


def test_memory_is_bounded():
    book, _ = book_of(all_bytes=30_000)
    first = begin(book)
    with book.using(first, None, begin=False) as entry:
        entry.session.add_picture(plain_picture())
        assert entry.session.held_bytes == 80 * 60 * 3
        entry.session.use("make", CUP)
        assert entry.session.held_bytes == 80 * 60 * 4
        entry.session.check_room(19_201)
        with pytest.raises(DataError, match="above the limit of 0 MiB"):
            entry.session.check_room(19_200)
    second = begin(book)
    with book.using(second, None, begin=False) as entry:
        entry.session.add_picture(plain_picture())
    begin(book)  # more than 30,000 bytes are held: the session that was idle longest goes
    assert len(book) == 2
    with pytest.raises(DataError, match="no session"):
        use(book, first)


# --- HTTP ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:8765", ("127.0.0.1", 8765)),
        ("8765", ("127.0.0.1", 8765)),
        (":0", ("127.0.0.1", 0)),
        ("[::1]:80", ("::1", 80)),
        ("example.org:443", ("example.org", 443)),
    ],
)
def test_places(text: str, place: tuple[str, int]):
    assert read_place(text) == place


@pytest.mark.parametrize("text", ["", "localhost", "a:", "a:70000", "::1:80", "a:b:1", "a:-1"])
def test_places_that_are_none(text: str):
    with pytest.raises(ConfigError, match="no place to serve"):
        read_place(text)


def test_strangers_need_a_key():
    for host in ("127.0.0.1", "localhost", "::1"):
        HttpSettings(host)
    HttpSettings("0.0.0.0", key=ApiKey("secret"))
    for host in ("0.0.0.0", "::", "192.168.1.5", "lisa.example.org"):
        with pytest.raises(ConfigError, match="set a key in LISA_API_KEY"):
            HttpSettings(host)


def test_only_old_versions_have_connections():
    request = SimpleNamespace(headers={"mcp-session-id": "abc"})
    old = SimpleNamespace(protocol_version="2025-11-25", request=request)
    new = SimpleNamespace(protocol_version="2026-07-28", request=request)
    assert connection_of(old) == "abc"
    assert connection_of(new) is None
