from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat.server.errors import Refusal
from chat.server.guard import check_structure
from chat.server.settings import ServerSettings
from tests.unit.chat.server.scripted import asked, served

SETTINGS = ServerSettings(json_depth=8, json_structure_bytes=1000)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 9,
        b'{"a":' * 9,
        b'["' + b"\\" * 6 + b'"' + b"[" * 9,  # six backslashes are three, and the quote is one
    ],
    ids=["lists", "objects", "behind backslashes"],
)
def test_deep_json_is_refused(body):
    with pytest.raises(Refusal, match="nested deeper than 8"):
        check_structure(body, SETTINGS)


@pytest.mark.parametrize(
    "body", [b"[" + b"1," * 1000 + b"1]", b"[" + b'"",' * 1000 + b'""]', b"[]" * 501]
)
def test_json_of_many_pieces_is_refused(body):
    with pytest.raises(Refusal, match="more than 1,000 quotes, numbers and brackets"):
        check_structure(body, SETTINGS)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"text": "[[[[[[[[[[[[[{{{{{{{{{{{{{{{"}).encode(),
        json.dumps({"text": '"[[[[[[[[[[[[[\\"'}).encode(),
        b'{"url": "' + b"A" * 1_000_000 + b'"}',
        b'{"never closed [[[[[[[[[[[[[[[[[[[[[[[',
    ],
    ids=["brackets in text", "quotes in text", "long text", "open text"],
)
def test_text_does_not_count(body):
    check_structure(body, SETTINGS)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner), max_leaves=30))
def test_depth_is_that_of_the_reader(value):
    def depth(one):
        return 1 + max(map(depth, one), default=0) if isinstance(one, list) else 0

    body = json.dumps(value).encode()
    for limit in range(depth(value) + 2):
        bound = ServerSettings(json_depth=limit)
        if limit < depth(value):
            with pytest.raises(Refusal):
                check_structure(body, bound)
        else:
            check_structure(body, bound)


def test_answers_are_counted_by_route_and_status():
    with served() as server, server.client() as client:
        client.post("/v1/chat/completions", json=asked())
        client.post("/v1/chat/completions", json={})
        for path in ("/nowhere", "/elsewhere"):
            client.get(path)
        text = client.get("/metrics").text
    completions = 'lisa_requests_total{method="POST",route="/v1/chat/completions"'
    assert f'{completions},status="200"}} 1.0' in text
    assert f'{completions},status="400"}} 1.0' in text
    assert 'route="unknown",status="404"} 2.0' in text
    assert "elsewhere" not in text
