"""Refusals in the form that OpenAI's clients turn into exceptions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from chat.cancellation import TurnCancelled
from lisa.errors import DataError, ImageError, LisaError, PromptError


class ServerStopping(LisaError):
    """The server is ending; nobody answers any more."""


class ErrorDetail(BaseModel):
    """What went wrong."""

    model_config = ConfigDict(extra="forbid")

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """The body of every answer that is a refusal."""

    model_config = ConfigDict(extra="forbid")

    error: ErrorDetail


@dataclass
class Refusal(Exception):
    """A request that is not carried out.

    Attributes:
        status: HTTP status.
        message: One sentence for the person who sent it.
        code: One word for programs.
        param: Which parameter is meant.
        retry_after: Seconds after which another try makes sense.
        close: Whether the connection is of no more use.
    """

    status: int
    message: str
    code: str
    param: str | None = None
    retry_after: float | None = None
    close: bool = False

    @property
    def body(self) -> dict[str, Any]:
        """The JSON that is sent."""
        detail = ErrorDetail(
            message=self.message, type=_type_of(self.status), param=self.param, code=self.code
        )
        return ErrorBody(error=detail).model_dump()

    @property
    def headers(self) -> dict[str, str]:
        """Headers beside the usual ones."""
        headers = {}
        if self.retry_after is not None:
            headers["retry-after"] = str(max(1, math.ceil(self.retry_after)))
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        if self.close:
            headers["connection"] = "close"
        return headers


def _type_of(status: int) -> str:
    if status == 401:
        return "authentication_error"
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"


def bad_request(message: str, param: str | None = None, code: str = "invalid_value") -> Refusal:
    """Return the refusal of a request that can never succeed as it is."""
    return Refusal(400, message, code, param)


_FIELD = re.compile(r"[a-z_0-9]+")
_SENTENCES: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not supported here: leave it out",
    "string_unicode": "holds half of a character pair (a lone surrogate): send whole characters",
}


def refuse_fields(errors: Sequence[Mapping[str, Any]]) -> Refusal:
    """Return the refusal of a body that does not fit its description.

    Args:
        errors: As pydantic lists them; what was sent is not repeated.
    """
    # Of the forms that a field may have, the last is the most particular.
    first = errors[-1] if str(errors[-1]["type"]) == "string_unicode" else errors[0]
    kind, place = str(first["type"]), [part for part in first["loc"] if part != "body"]
    if kind == "json_invalid":
        return bad_request("the body is no JSON: check it for quotes and commas.", None, kind)
    param = _param(place)
    what = _SENTENCES.get(kind) or str(first["msg"])[:200].rstrip(".")
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    message = f"{param or 'the body'}: {what}{more}."
    return bad_request(message, param or None, "unsupported" if "extra" in kind else kind)


def _param(place: Sequence[str | int]) -> str:
    """Return a place in a body as people write it, without the names of alternatives."""
    written = ""
    for at, part in enumerate(place):
        if isinstance(part, int):
            written += f"[{part}]"
        elif _FIELD.fullmatch(part) and not (place[0] == "messages" and _follows_index(place, at)):
            written += f".{part}" if written else part
    return written


def _follows_index(place: Sequence[str | int], at: int) -> bool:
    return at > 0 and isinstance(place[at - 1], int)


def refusal_of(error: BaseException) -> Refusal:
    """Return what a client is told of an error.

    Sentences about questions and pictures are the client's business. Those about weights and
    settings are the server's, and may name its folders; so is everything unexpected.
    """
    match error:
        case Refusal():
            return error
        case TurnCancelled() | ServerStopping():
            return Refusal(503, "the server is stopping: ask another one.", "stopping", None, 5)
        case ImageError():
            return bad_request(str(error), None, "invalid_image")
        case PromptError() | DataError():
            return bad_request(str(error))
    return Refusal(500, "the server made a mistake; its log says more.", "internal_error")
