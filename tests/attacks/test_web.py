"""Attacks on the web page: files of the server, HTML from users and models, harmful uploads."""

from __future__ import annotations

import io
import json
import pickle
import struct
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="Gradio is not installed: pip install 'lisa-assistant[web]'")

import httpx

from chat.report import write_report
from chat.safety.limits import SafetyLimits
from chat.web.archive import ArchiveLimits, pack_session, unpack_session
from chat.web.desk import Desk
from chat.web.page import PageSettings
from chat.web.serving import ServingSettings, serve_page
from lisa.errors import DataError
from lisa.tokens import SEG_TOKEN
from tests.chat_script import Reply, call, plain_picture
from tests.web_page import scripted_sessions

API = "/gradio_api"
HARM = "<img src=x onerror=alert(1)><script>alert(2)</script>"
SECRET = "a word that nobody may read"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    settings = PageSettings(scripted_sessions())
    with (
        serve_page(settings, ServingSettings()) as address,
        httpx.Client(base_url=address, timeout=60) as opened,
    ):
        yield opened


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    return path


def press(client: httpx.Client, name: str, data: list, event: dict | None = None) -> str:
    """Do what the page does for an event; returns all that the server says."""
    config = client.get("/config").json()
    components = {one["id"]: one["props"].get("elem_id") for one in config["components"]}
    for function in config["dependencies"]:
        for component, kind in function["targets"]:
            if f"{components.get(component)}.{kind}" == name:
                session = uuid.uuid4().hex[:10]
                asked = {
                    "data": data,
                    "event_data": event,
                    "fn_index": function["id"],
                    "session_hash": session,
                    "trigger_id": component,
                }
                client.post(f"{API}/queue/join", json=asked).raise_for_status()
                said = []
                with client.stream(
                    "GET", f"{API}/queue/data", params={"session_hash": session}
                ) as lines:
                    for line in lines.iter_lines():
                        said.append(line)
                        if '"process_completed"' in line:
                            break
                return "\n".join(said)
    raise AssertionError(f"the page has no event {name}")


def send(client: httpx.Client, name: str, content: bytes) -> str:
    """Upload a file; returns where the server put it."""
    sent = client.post(f"{API}/upload", files={"files": (name, content)})
    sent.raise_for_status()
    return sent.json()[0]


# --- Files of the server --------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{path}", "//{path}", "/.{path}", "./../../../../..{path}"])
def test_no_file_outside_the_uploads_is_served(client: httpx.Client, secret: Path, form: str):
    got = client.get(f"{API}/file={form.format(path=secret)}")
    assert got.status_code in (403, 404)
    assert SECRET not in got.text


def test_no_file_is_reached_from_inside_the_uploads(client: httpx.Client, secret: Path):
    folder = Path(send(client, "a.png", b"x")).parent
    up = "/".join([".."] * len(folder.parts))
    for path in (f"{folder}/{up}{secret}", f"{folder}/%2e%2e/%2e%2e/%2e%2e{secret}"):
        got = client.get(f"{API}/file={path}")
        assert got.status_code in (400, 403, 404)
        assert SECRET not in got.text


@pytest.mark.parametrize("name", ["../../evil.png", "/etc/evil.png", "..\\..\\evil.png", "a\0b"])
def test_upload_names_lead_nowhere(client: httpx.Client, name: str):
    root = Path(send(client, "known.png", b"x")).parent.parent
    sent = client.post(f"{API}/upload", files={"files": (name, b"evil")})
    for stored in sent.json() if sent.status_code == 200 else ():
        assert Path(stored).resolve().is_relative_to(root)
    assert not (root.parent / "evil.png").exists()


@pytest.mark.parametrize("button", ["lisa-add.upload", "lisa-open.upload"])
def test_claimed_uploads_are_no_way_to_read_files(client: httpx.Client, secret: Path, button: str):
    for path in (str(secret), "http://127.0.0.1:9/x.png", f"file://{secret}"):
        claimed = {"path": path, "url": path, "meta": {"_type": "gradio.FileData"}}
        files = [claimed] if button == "lisa-add.upload" else claimed
        said = press(client, button, [None, files])
        assert SECRET not in said
        assert "data:image" not in said
        assert '"success":false' in said.replace(" ", "") or "is no file" in said


@pytest.mark.parametrize(
    "path",
    [
        f"{API}/file=http://127.0.0.1:9/",
        f"{API}/proxy=http://127.0.0.1:9/",
        f"{API}/run/predict",
        f"{API}/vibe-edit/",
        f"{API}/openapi.json",
    ],
)
def test_what_the_page_does_not_need_is_closed(client: httpx.Client, path: str):
    assert client.get(path).status_code == 404
    assert client.post(path, json={}).status_code == 404


def test_another_page_cannot_steer_this_one(client: httpx.Client):
    assert client.get("/config", headers={"Host": "evil.example"}).status_code == 421
    asked = client.post(f"{API}/queue/join", json={}, headers={"Origin": "http://evil.example"})
    assert asked.status_code == 403
    assert "frame-ancestors 'none'" in client.get("/").headers["content-security-policy"]


def test_giant_questions_are_cut_off(client: httpx.Client):
    asked = client.post(f"{API}/queue/join", content=b'{"data": ["' + b"x" * 2_000_000)
    assert asked.status_code == 413
    said = press(client, "lisa-send.click", [None, "x" * 100_000])
    assert "alert(" not in said
    assert "above the limit" in said or "8000" in said or '"success": false' in said


# --- Uploads that are no pictures -----------------------------------------------------------------


class Bomb:
    """What a pickle would run."""

    def __reduce__(self):
        return (Path.touch, (Path("/tmp/lisa_pickle_ran"),))


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(b"\0" * 100_000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.pkl", pickle.dumps(Bomb())),
        ("picture.png", pickle.dumps(Bomb())),
        ("vector.svg", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'),
        ("page.html", b"<script>alert(1)</script>"),
        ("page.png", b"<script>alert(1)</script>"),
        ("large.png", png_that_claims(30_000, 30_000)),
        ("print.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
    ],
)
def test_uploads_that_are_no_pictures_are_refused(client: httpx.Client, name: str, content: bytes):
    stored = send(client, name, content)
    served = client.get(f"{API}/file={stored}")
    kind = served.headers["content-type"]
    assert kind.startswith("image/png") or "attachment" in served.headers["content-disposition"]
    claimed = {"path": stored, "meta": {"_type": "gradio.FileData"}}
    said = press(client, "lisa-add.upload", [None, [claimed]])
    assert '"kind":"error"' in said.replace(" ", "")
    assert "data:image" not in said
    assert not Path("/tmp/lisa_pickle_ran").exists()
    assert not Path(stored).exists()


# --- Saved sessions -------------------------------------------------------------------------------


def saved_session() -> bytes:
    session = scripted_sessions().new()
    session.add_picture(plain_picture(size=(160, 120)))
    session.ask("What stands here?")
    return pack_session(session)


def changed(data: bytes, **files: bytes) -> bytes:
    """Put other files into a saved session, or add some."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            if name not in files:
                new.writestr(name, old.read(name))
        for name, content in files.items():
            new.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize(
    "name", ["../evil.png", "/tmp/evil.png", "a/../../evil.png", "..\\evil.png", "evil.pkl", "a/"]
)
def test_saved_session_cannot_leave_its_folder(tmp_path: Path, name: str):
    folder = tmp_path / "inside"
    folder.mkdir()
    with pytest.raises(DataError, match="which no session has"):
        unpack_session(changed(saved_session(), **{name: b"evil"}), folder, ArchiveLimits())
    assert [path for path in tmp_path.rglob("*") if path != folder] == []


def test_saved_session_holds_no_links(tmp_path: Path, secret: Path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        entry = zipfile.ZipInfo("session.json")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, str(secret))
    folder = tmp_path / "inside"
    folder.mkdir()
    unpack_session(packed.getvalue(), folder, ArchiveLimits())
    assert not (folder / "session.json").is_symlink()
    with pytest.raises(DataError, match="holds no session"):
        scripted_sessions().load(folder)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"session.json": b" " * 9_000_000}, "session.json has more than"),
        ({"mask_1_0123456789abcdef.png": b"\0" * 130_000_000}, "unpacks to more than"),
        ({"picture_9_0123456789abcdef.png": png_that_claims(60_000, 60_000)}, "pixels"),
        ({"picture_9_0123456789abcdef.png": pickle.dumps(Bomb())}, "no PNG"),
    ],
    ids=["text", "zeros", "pixels", "pickle"],
)
def test_saved_session_that_is_a_bomb(tmp_path: Path, files: dict[str, bytes], words: str):
    with pytest.raises(DataError, match=words):
        unpack_session(changed(saved_session(), **files), tmp_path, ArchiveLimits())
    assert not Path("/tmp/lisa_pickle_ran").exists()


def test_saved_session_that_lies_about_sizes(tmp_path: Path):
    honest = saved_session()
    with zipfile.ZipFile(io.BytesIO(honest)) as archive:
        size = archive.getinfo("session.json").file_size
    lying = honest.replace(struct.pack("<I", size), struct.pack("<I", 7))
    with pytest.raises(DataError, match="no saved session"):
        unpack_session(lying, tmp_path, ArchiveLimits())


# --- HTML from users and models -------------------------------------------------------------------


class Tags(HTMLParser):
    """Notes scripts, handlers and pictures from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.harmful: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        elsewhere = [
            v for k, v in attrs if k in ("src", "href") and not v.startswith("data:image/")
        ]
        handlers = [k for k, _ in attrs if k.startswith("on")]
        if tag in ("script", "iframe", "object", "embed", "img") or elsewhere or handlers:
            self.harmful.append(tag)


def test_report_writes_no_html_of_users_or_models():
    def script(picture, conversation):
        if conversation.messages[-1].role == "tool":
            return Reply(f"{HARM} {SEG_TOKEN}")
        return call("make", what=HARM, box=[1, 1, 20, 20])

    session = scripted_sessions(script).new()
    session.add_picture(plain_picture(), f'"><b>{HARM}')
    session.ask(f"</style>{HARM}")
    page = write_report(session.state, title=HARM)
    tags = Tags()
    tags.feed(page)
    assert tags.harmful == []
    assert "&lt;img src=x" in page


def test_page_gets_texts_as_json_only(client: httpx.Client):
    desk = Desk(scripted_sessions(lambda *_: f"{HARM} {SEG_TOKEN}"), SafetyLimits())
    desk.add([(HARM, plain_picture)])
    *_, last = desk.ask(HARM)
    assert last.talk["turns"][0]["pieces"][0] == {"text": f"{HARM} "}
    json.dumps(last.stage)
    # No part of the page puts values into its HTML.
    for one in client.get("/config").json()["components"]:
        if one["type"] == "html":
            template = one["props"]["html_template"]
            assert "${" not in template and "{{" not in template
            assert "innerHTML" not in one["props"]["js_on_load"]
