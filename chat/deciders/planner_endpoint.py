"""A planner behind any OpenAI-compatible endpoint.

What comes back is bounded in bytes and time, redirects are not followed, and the key stands in no
message: whoever names an endpoint need not trust it with more than the conversation.
"""

from __future__ import annotations

import base64
import io
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chat.deciders.planner import PlannerError, PlannerMessage, PlannerReply, PlannerRequest
from chat.deciders.planner_places import Units
from lisa.errors import ConfigError, MissingDependencyError
from lisa.tool_calls import MAX_CALL_CHARACTERS, ToolCall

if TYPE_CHECKING:
    import httpx
    from PIL import Image

    from lisa.types import ToolDescription

MAX_RESPONSE_BYTES = 1 << 20
_JPEG_QUALITY = 90
_MAX_TOLD = 200
"""Characters of an endpoint's own words that a message repeats."""


@dataclass(frozen=True)
class Endpoint:
    """Where a planner is, and how it is asked.

    Attributes:
        url: Base, such as "http://localhost:8000/v1"; "/chat/completions" is put behind it.
        model: As the endpoint calls it.
        key_variable: Environment variable that holds the key; without a value no key is sent.
        seconds: Most time of one reply.
        sees: Whether the model takes pictures.
        units: Of the boxes and points that it writes.
        max_side: Longest side of the pictures that it is sent, in pixels.
    """

    url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    seconds: float = 60.0
    sees: bool = True
    units: Units = "pixels"
    max_side: int = 1024

    def __post_init__(self) -> None:
        """Check the address.

        Raises:
            ConfigError: If it is none, or holds a password.
        """
        if not self.url.startswith(("http://", "https://")):
            raise ConfigError(
                "the planner's address must begin with http:// or https://: give the base of its "
                "API, such as http://localhost:8000/v1."
            )
        if "@" in self.url or "?" in self.url:
            raise ConfigError(
                "the planner's address may hold no password and no query, because addresses are "
                f"shown: put the key into the environment variable {self.key_variable}."
            )


class EndpointPlanner:
    """Asks an endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Take the endpoint; it is not asked yet.

        Raises:
            MissingDependencyError: If httpx is not installed.
        """
        try:
            import httpx
        except ImportError as error:
            raise MissingDependencyError(
                "a planner behind an endpoint needs httpx: pip install 'lisa-assistant[serve]'."
            ) from error
        self._httpx = httpx
        self._endpoint = endpoint
        self.sees = endpoint.sees
        self.units = endpoint.units
        self.max_side = endpoint.max_side

    def reply(self, request: PlannerRequest) -> PlannerReply:
        """Ask for the next step.

        Raises:
            PlannerError: If the endpoint cannot be reached, refuses, is too slow, or answers
                something else than a chat completion.
            ConfigError: If the key cannot be sent.
        """
        left = request.cancellation.seconds_left
        seconds = self._endpoint.seconds if left is None else min(self._endpoint.seconds, left)
        try:
            status, body = self._post(_body(self._endpoint.model, request), request, seconds)
        except self._httpx.TimeoutException as error:
            raise PlannerError(
                f"the planner at {self._endpoint.url} did not answer within {seconds:.0f} s: try "
                "again, or give it more time."
            ) from error
        except (self._httpx.HTTPError, self._httpx.InvalidURL) as error:
            raise PlannerError(
                f"the planner at {self._endpoint.url} cannot be reached "
                f"({type(error).__name__}): check the address and that it runs."
            ) from error
        if status != 200:
            raise PlannerError(self._refusal(status, body))
        return _read(body)

    def _post(
        self, body: Mapping[str, Any], request: PlannerRequest, seconds: float
    ) -> tuple[int, bytes]:
        """Send a request; return the status and the body, which is read no further than allowed."""
        deadline = time.monotonic() + seconds
        with (
            self._httpx.Client(timeout=max(seconds, 0.001), follow_redirects=False) as client,
            client.stream(
                "POST",
                f"{self._endpoint.url.rstrip('/')}/chat/completions",
                json=body,
                headers=self._headers(),
            ) as response,
        ):
            return response.status_code, self._bounded(response, request, deadline)

    def _bounded(self, response: httpx.Response, request: PlannerRequest, deadline: float) -> bytes:
        received = bytearray()
        # As it comes: what would be unpacked could be a thousand times as large.
        for chunk in response.iter_raw():
            request.cancellation.check()
            received += chunk
            if len(received) > MAX_RESPONSE_BYTES:
                raise PlannerError(
                    f"the planner at {self._endpoint.url} answered more than "
                    f"{MAX_RESPONSE_BYTES:,} bytes: it is no chat endpoint, or misbehaves."
                )
            # Drop by drop an answer could come for ever without any single wait being too long.
            if time.monotonic() > deadline:
                raise self._httpx.ReadTimeout("the whole answer took too long")
        return bytes(received)

    def _headers(self) -> dict[str, str]:
        plain = {"Accept-Encoding": "identity"}
        key = os.environ.get(self._endpoint.key_variable, "").strip()
        if not key:
            return plain
        if not key.isascii() or not key.isprintable():
            raise ConfigError(
                f"the key in {self._endpoint.key_variable} has characters that no key has: set it "
                "again."
            )
        return {**plain, "Authorization": f"Bearer {key}"}

    def _refusal(self, status: int, body: bytes) -> str:
        """Say in one sentence what a status means."""
        where = f"the planner at {self._endpoint.url}"
        if 300 <= status < 400:
            return f"{where} sends us elsewhere (HTTP {status}): give its own address."
        if status in (401, 403):
            return (
                f"{where} does not accept the key (HTTP {status}): set the environment variable "
                f"{self._endpoint.key_variable}."
            )
        if status == 404:
            return f"{where} has no such address or model (HTTP 404): check both."
        if status == 429:
            return f"{where} has too much to do (HTTP 429): try again later."
        if status >= 500:
            return f"{where} failed (HTTP {status}): look at its log, or try again."
        told = self._told(body)
        return f"{where} refused the request (HTTP {status}){told}: check the model's name."

    def _told(self, body: bytes) -> str:
        """Return what an endpoint says of a refusal, in brackets, without the key."""
        try:
            message = json.loads(body)["error"]["message"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return ""
        if not isinstance(message, str):
            return ""
        key = os.environ.get(self._endpoint.key_variable, "").strip()
        # First the key, then the cut: half a key is a secret too.
        safe = message.replace(key, "***") if key else message
        plain = "".join(one if one.isprintable() else " " for one in safe[:_MAX_TOLD])
        return f" ({plain.strip().rstrip('.')})"


def _body(model: str, request: PlannerRequest) -> dict[str, Any]:
    """Return a request as JSON values."""
    body: dict[str, Any] = {
        "model": model,
        "messages": _messages(request.messages, request.image),
        "max_tokens": request.max_new_tokens,
        "temperature": 0,
    }
    if request.tools:
        body["tools"] = [{"type": "function", "function": _tool(one)} for one in request.tools]
    return body


def _tool(tool: ToolDescription) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }


def _messages(
    messages: Sequence[PlannerMessage], image: Image.Image | None
) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []
    waiting = image
    for place, message in enumerate(messages):
        if message.call is not None:
            written.append(_called(message.call, f"call_{place}"))
        elif message.role == "tool":
            written.append(
                {"role": "tool", "tool_call_id": f"call_{place - 1}", "content": message.text}
            )
        elif message.role == "user" and waiting is not None:
            shown = {"type": "image_url", "image_url": {"url": _data_url(waiting)}}
            words = {"type": "text", "text": message.text}
            written.append({"role": "user", "content": [shown, words]})
            waiting = None
        else:
            written.append({"role": message.role, "content": message.text})
    return written


def _called(call: ToolCall, call_id: str) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(dict(call.arguments))}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


def _data_url(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _read(body: bytes) -> PlannerReply:
    """Read a chat completion.

    Raises:
        PlannerError: If it is none.
    """
    try:
        message = json.loads(body)["choices"][0]["message"]
        text = message.get("content") or ""
        calls = message.get("tool_calls") or []
        if not isinstance(text, str) or not isinstance(calls, list):
            raise TypeError
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise PlannerError(
            "the planner's answer is no chat completion: give the address of an "
            "OpenAI-compatible API."
        ) from error
    return _with_call(text, calls[0]) if calls else PlannerReply(text)


def _with_call(text: str, call: object) -> PlannerReply:
    """Read the first call; what it has written behind it, it wrote without having seen a result."""
    function = call.get("function") if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    given = function.get("arguments") if isinstance(function, dict) else None
    if not isinstance(name, str):
        return PlannerReply(text, problem="the call has no name: give the name of a tool.")
    if isinstance(given, str):
        if len(given) > MAX_CALL_CHARACTERS:
            return PlannerReply(
                text,
                problem=f"the call of {name[:40]} has {len(given)} characters of arguments: write "
                f"at most {MAX_CALL_CHARACTERS}.",
            )
        try:
            given = json.loads(given or "{}")
            # Numbers that are none, or have no end, are no JSON for those who read the steps.
            json.dumps(given, allow_nan=False)
        except (ValueError, RecursionError):
            return PlannerReply(
                text, problem=f"the arguments of {name[:40]} are no JSON: write an object."
            )
    if not isinstance(given, dict):
        return PlannerReply(
            text, problem=f"the arguments of {name[:40]} are no object: write one by name."
        )
    return PlannerReply(text, ToolCall(name, given))
