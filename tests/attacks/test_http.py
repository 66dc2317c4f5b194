"""What strangers may try with an open port: each test is one attack on `lisa serve`."""

from __future__ import annotations

import json
import pickle
import socket
import time
import zlib

import pytest

from lisa.tokens import SEG_TOKEN, TOOL_CALL_END, TOOL_CALL_START
from tests.attacks.http_requests import JSON, POST, post, raw, refusal, with_picture
from tests.unit.chat.server.scripted import (
    ScriptedPipeline,
    asked,
    data_url,
    picture,
    served,
    shown,
)

# --- Bodies ---------------------------------------------------------------------------------------


def test_a_body_that_says_it_is_too_large_is_refused_unread(server):
    begun = time.monotonic()
    answer = raw(server, POST + JSON + b"content-length: 99999999999999\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 413")
    assert time.monotonic() - begun < 15


def test_a_body_that_hides_its_size_is_cut_off(server):
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    head = POST + JSON + b"transfer-encoding: chunked\r\n\r\n"
    try:
        answer = raw(server, head + chunk * 40)
    except (ConnectionResetError, BrokenPipeError):
        return  # hung up while we were still sending
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_chunked_body_without_an_end_is_given_up(server):
    begun = time.monotonic()
    answer = raw(server, POST + JSON + b'transfer-encoding: chunked\r\n\r\n5\r\n{"a":')
    assert answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - begun < 15


def test_a_body_drop_by_drop_is_given_up(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(POST + JSON + b"content-length: 1000\r\n\r\n")
        begun = time.monotonic()
        try:
            while time.monotonic() - begun < 15:
                connection.sendall(b" ")
                time.sleep(0.2)
        except OSError:
            pass
    assert time.monotonic() - begun < 15


def test_a_head_drop_by_drop_is_given_up(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        begun = time.monotonic()
        try:
            for number in range(100):
                connection.sendall(b"x-%d: a\r\n" % number if number else POST)
                time.sleep(0.2)
        except OSError:
            pass
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize("nested", ["[" * 100_000, '{"a":' * 100_000, '[{"a":' * 50])
def test_deep_json_is_refused(server, nested):
    assert "nested deeper" in refusal(post(server, nested), 400)


def test_json_of_millions_of_pieces_is_refused(server):
    begun = time.monotonic()
    refusal(post(server, '{"messages": [' + '"",' * 600_000 + '""]}'), 413)
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe{}",
        b"\x1f\x8b\x08\x00gz",
        b'{"a": NaN}',
        b'{"model": ' + b"9" * 10_000 + b"}",
        b"",
    ],
    ids=["no unicode", "packed", "nan", "long number", "empty"],
)
def test_what_is_no_json_is_refused(server, body):
    refusal(post(server, body), 400)


def test_half_characters_are_refused(server):
    text = json.dumps(asked()).replace("What shade?", "\\ud800 what?")
    assert "half of a character pair" in refusal(post(server, text), 400)


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data; boundary=x", "application/xml"]
)
def test_other_content_types_are_refused(server, kind):
    """Browsers send these to other sites without asking first."""
    refusal(post(server, json.dumps(asked()), **{"content-type": kind}), 415)


# --- Pictures -------------------------------------------------------------------------------------


def bomb():
    """A PNG of 20,000 x 20,000 pixels in half a megabyte at most."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return len(data).to_bytes(4, "big") + kind + data + crc.to_bytes(4, "big")

    side = (20_000).to_bytes(4, "big")
    rows = zlib.compress(b"\0" * 10_000_000, 9)
    head = chunk(b"IHDR", side + side + b"\1\0\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused_by_its_header(server):
    url = data_url(bomb())
    assert len(url) < 100_000
    assert "above the limit of 1,000,000" in refusal(post(server, with_picture(url)), 400)


def test_a_picture_file_that_is_too_large_is_refused(server):
    url = "data:image/png;base64," + "A" * 800_000
    assert "above the limit of 500,000" in refusal(post(server, with_picture(url)), 400)


class Opens:
    """What a pickle that is opened would do."""

    def __reduce__(self):
        return (exec, ("import builtins; builtins.opened_by_the_server = True",))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (pickle.dumps(Opens()), "png"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "svg+xml"),
        (b"<html><body onload=alert(1)></body></html>", "png"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(x) run", "png"),
        (b"GIF89a" + b"\xff" * 50, "gif"),
    ],
    ids=["pickle", "svg", "html", "postscript", "broken gif"],
)
def test_what_is_no_picture_is_refused(server, data, kind):
    import builtins

    message = refusal(post(server, with_picture(data_url(data, kind))), 400)
    assert "picture" in message
    assert not hasattr(builtins, "opened_by_the_server")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/metrics",
        "https://example.org/picture.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "../../../etc/passwd",
        "ftp://localhost/x.png",
        "\\\\host\\share\\x.png",
    ],
)
def test_pictures_come_from_the_request_only(server, url):
    before = server.metric("lisa_requests_total")
    message = refusal(post(server, with_picture(url.format(port=server.port))), 400)
    assert "data URL" in message
    assert "root:" not in message
    # Had it asked itself, there would be one request more.
    assert server.metric("lisa_requests_total") == before + 2


def test_many_pictures_are_refused(server):
    url = data_url(picture(1))
    body = {"model": "lisa-nano", "messages": [shown(url, "x") for _ in range(9)]}
    assert "9 pictures, above the limit of 8" in refusal(post(server, json.dumps(body)), 400)


def sent_back(**changes):
    """A request that sends a segment back which no server gave."""
    segment = {"name": "#1", "mask": {"size": [40, 48], "counts": "Ze0:n000000000000000000Vj0"}}
    body = asked()
    answer = {"role": "assistant", "content": "Hm.", "segments": [segment | changes]}
    body["messages"] += [answer, {"role": "user", "content": "How large is #1?"}]
    return json.dumps(body)


@pytest.mark.parametrize(
    "changes",
    [
        {"mask": {"size": [100_000, 100_000], "counts": "01"}},
        {"mask": {"size": [40, 48], "counts": "o" * 5000}},
        {"mask": {"size": [-1, 48], "counts": "0"}},
        {"mask": {"size": [40, 48], "counts": "\u00ff"}},
        {"picture": 7},
        {"name": "#1 <script>"},
        {"status": "absent"},
    ],
    ids=["bomb", "endless", "negative", "letters", "elsewhere", "name", "absent with a name"],
)
def test_segments_that_are_sent_back_are_checked(server, changes):
    assert post(server, sent_back()).status_code == 200
    refusal(post(server, sent_back(**changes)), 400)


# --- Words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [SEG_TOKEN, "<|im_end|>", f"{TOOL_CALL_START}{{}}{TOOL_CALL_END}"]
)
def test_control_tokens_of_an_earlier_answer_are_words(words):
    """The pipeline breaks those of questions; what a client calls an answer is no better."""
    heard = []

    def script(image, conversation):
        heard.append(conversation)
        return "Yes."

    body = asked()
    body["messages"] += [
        {"role": "assistant", "content": f"a {words} b"},
        {"role": "user", "content": "And?"},
    ]
    with served(ScriptedPipeline(script)) as server:
        assert post(server, json.dumps(body)).status_code == 200
    answer = heard[0].messages[1].text
    # A mask token is part of honest answers.
    assert (words in answer) == (words == SEG_TOKEN)
