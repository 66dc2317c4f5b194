"""Carries one call out, from its arguments to its result, in a thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pydantic import Field

from chat.cancellation import Cancellation
from chat.mcp_server.answers import Answer, to_error, to_failure, to_result
from chat.mcp_server.operations import Call, Operation
from chat.mcp_server.sessions import Entry, SessionBook
from chat.safety.sources import PictureSources
from chat.steps import Step
from chat.tools.contract import ToolArguments
from lisa.errors import DataError, LisaError

if TYPE_CHECKING:
    from mcp_types import CallToolResult

logger = logging.getLogger(__name__)


class SessionArguments(ToolArguments):
    """What every call takes."""

    session: str | None = Field(
        default=None,
        description="As an earlier call returned it; not needed if it returned none.",
        max_length=100,
    )
    with_images: bool = Field(
        default=False, description="Also send overlays, new pictures and masks as PNG."
    )


class PictureArguments(SessionArguments):
    """What every call about a picture takes besides."""

    picture: int | None = Field(
        default=None,
        description="Number of a picture of the session; the last one if left out.",
        ge=1,
    )
    image: str | None = Field(
        default=None,
        description="A picture to open first: data:image/png;base64,..., or, where the server "
        "allows it, https://... or the path of a file.",
        min_length=1,
    )


class CallDesk:
    """Knows the operations, the sessions, and where pictures may come from.

    Args:
        operations: What can be called.
        book: Sessions of the clients.
        sources: The door for pictures.
    """

    def __init__(
        self, operations: Sequence[Operation], book: SessionBook, sources: PictureSources
    ) -> None:
        self.operations = {operation.name: operation for operation in operations}
        self._book, self._sources = book, sources

    def schema(self, operation: Operation) -> dict[str, Any]:
        """Return the JSON schema of an operation's arguments, those that all have included."""
        merged = operation.arguments.model_json_schema()
        common = _common(operation).model_json_schema()
        properties = {**merged.get("properties", {}), **common["properties"]}
        required = [*merged.get("required", ()), *(["image"] if operation.needs_picture else ())]
        for name in ("title", "description"):
            merged.pop(name, None)
        return {**merged, "properties": properties, "required": required}

    def run(
        self,
        name: str,
        arguments: Mapping[str, Any],
        connection: str | None,
        cancellation: Cancellation,
        listener: Callable[[Step], None],
    ) -> CallToolResult:
        """Carry a call out; whatever goes wrong becomes a result that says so.

        Args:
            name: Of the operation.
            arguments: As the client sent them.
            connection: Which connection asks; None where requests stand alone.
            cancellation: Stops it from another thread.
            listener: Hears of the steps of a question.
        """
        try:
            return self._run(name, arguments, connection, cancellation, listener)
        except LisaError as error:
            return to_error(str(error))
        except Exception as error:
            logger.exception("the operation %r failed", name[:40])
            return to_failure(error)

    def _run(
        self,
        name: str,
        arguments: Mapping[str, Any],
        connection: str | None,
        cancellation: Cancellation,
        listener: Callable[[Step], None],
    ) -> CallToolResult:
        operation = self.operations.get(name)
        if operation is None:
            raise DataError(
                f"there is no tool {name[:40]!r}: use one of {', '.join(self.operations)}."
            )
        kind = _common(operation)
        common = kind.read(
            {key: value for key, value in arguments.items() if key in kind.model_fields}, name
        )
        own = {key: value for key, value in arguments.items() if key not in kind.model_fields}
        place = common if isinstance(common, PictureArguments) else PictureArguments()
        if operation.needs_picture and place.image is None:
            raise DataError(f"{name} needs 'image': a data URL, an address or a path.")
        # Before anything waits or loads: a picture that is refused costs nothing else.
        image = None if place.image is None else self._sources.open(place.image)
        begins = image is not None or operation.begins
        with self._book.using(common.session, connection, begin=begins) as entry:
            cancellation.check()
            entry.session.check_room(self._book.limits.session_bytes)
            number = place.picture
            if image is not None:
                number = entry.session.show(image, _name_of(str(place.image)))
            answer = operation.run(own, Call(entry, number, cancellation, listener))
            return _result(answer, entry, common.with_images)


def _result(answer: Answer, entry: Entry, with_images: bool) -> CallToolResult:
    session = entry.session
    return to_result(
        answer, session.pictures, session.picture, entry.handle, with_images=with_images
    )


def _common(operation: Operation) -> type[SessionArguments]:
    return PictureArguments if operation.takes_picture else SessionArguments


def _name_of(source: str) -> str:
    """Return what a picture is called: the last part of its path, nothing for a data URL."""
    return "" if source[:5].lower() == "data:" else PurePath(source.partition("?")[0]).name
