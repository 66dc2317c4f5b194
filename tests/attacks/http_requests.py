"""Requests as strangers send them to `lisa serve`: well-formed ones, and bytes as they are."""

from __future__ import annotations

import json
import socket

from tests.unit.chat.server.scripted import asked

POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
JSON = b"content-type: application/json\r\n"


def post(server, content, **headers):
    headers = {"content-type": "application/json"} | headers
    with server.client() as client:
        return client.post("/v1/chat/completions", content=content, headers=headers)


def with_picture(url):
    body = asked()
    body["messages"][0]["content"][0]["image_url"]["url"] = url
    return json.dumps(body)


def raw(server, request, seconds=20.0):
    """Send bytes as they are; return all that comes back until the server hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        connection.sendall(request)
        answer = b""
        try:
            while more := connection.recv(65536):
                answer += more
        except TimeoutError:
            answer += b"(still open)"
        return answer


def refusal(answer, status):
    assert answer.status_code == status, answer.text[:300]
    return answer.json()["error"]["message"]
