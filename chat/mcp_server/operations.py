"""What clients can call: the assistant's tools, and what a session does besides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from chat.cancellation import Cancellation
from chat.describe import describe_step
from chat.mcp_server.answers import Answer
from chat.mcp_server.sessions import Entry
from chat.steps import Observed, SegmentAdded, Step
from chat.tools.contract import Tool, ToolArguments
from lisa.errors import DataError, PromptError

_FOLDER_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"


@dataclass(frozen=True, eq=False)
class Call:
    """One call, as an operation sees it.

    Attributes:
        entry: Holds the session.
        picture: Number of the picture that it is about; None is the one that is looked at.
        cancellation: Stops it.
        listener: Hears of the steps of a question.
    """

    entry: Entry
    picture: int | None
    cancellation: Cancellation
    listener: Callable[[Step], None]


class Operation(ABC):
    """Something that a client can call.

    Attributes:
        name: How it is called.
        description: For the model that calls.
        arguments: Its own, besides those that all have.
        takes_picture: Whether it takes a picture along.
        needs_picture: Whether it cannot do without one that comes along.
        begins: Whether it makes sense as the first call of a session, without a picture.
    """

    name: str
    description: str
    arguments: type[ToolArguments]
    takes_picture: bool = True
    needs_picture: bool = False
    begins: bool = False

    @abstractmethod
    def run(self, arguments: Mapping[str, Any], call: Call) -> Answer:
        """Do it.

        Raises:
            LisaError: It cannot be done.
        """


class NoArguments(ToolArguments):
    """None of its own."""


class UseTool(Operation):
    """One of the assistant's tools.

    Args:
        tool: It.
    """

    def __init__(self, tool: Tool[Any]) -> None:
        self.name, self.description = tool.name, tool.description
        self.arguments = tool.arguments

    def run(self, arguments: Mapping[str, Any], call: Call) -> Answer:
        """Call the tool."""
        session = call.entry.session
        before = {picture.number for picture in session.pictures}
        found = session.use(
            self.name, arguments, picture=call.picture, cancellation=call.cancellation
        )
        new = tuple(one for one in session.pictures if one.number not in before)
        return Answer(found.text, found.data, found.segments, new)


class AskArguments(ToolArguments):
    """What to ask."""

    question: str = Field(
        description='A question or a wish in words; it may name segments, such as "#1".',
        min_length=1,
    )


class Ask(Operation):
    """A whole turn of the conversation."""

    name = "ask"
    description = (
        "Ask the assistant, which reasons, uses its own tools, remembers the conversation, and "
        "answers in words and masks."
    )
    arguments = AskArguments

    def run(self, arguments: Mapping[str, Any], call: Call) -> Answer:
        """Ask; segments that the turn's tools found come before those of the answer."""
        question = AskArguments.read(arguments, self.name).question
        turn = call.entry.session.ask(
            question,
            picture=call.picture,
            listener=call.listener,
            cancellation=call.cancellation,
        )
        found = [one for step in turn.steps if isinstance(step, Observed) for one in step.segments]
        segments = {one.name or str(id(one)): one for one in (*found, *turn.answer.segments)}
        # Answer and segments stand beside it.
        steps = [
            describe_step(step, with_masks=False)
            for step in turn.steps[:-1]
            if not isinstance(step, SegmentAdded)
        ]
        data = {"question": turn.question, "ending": turn.answer.ending, "steps": steps}
        new = tuple(one for one in call.entry.session.pictures if one.number in turn.pictures)
        return Answer(turn.answer.text, data, tuple(segments.values()), new)


class OpenPicture(Operation):
    """Look at a picture."""

    name = "open_picture"
    description = "Open a picture; later calls of the session are about it."
    arguments = NoArguments
    needs_picture = True

    def run(self, arguments: Mapping[str, Any], call: Call) -> Answer:
        """Say which picture it is; it is open already, as with every call that brings one."""
        NoArguments.read(arguments, self.name)
        session = call.entry.session
        shown = next(one for one in session.pictures if one.number == call.picture)
        width, height = shown.image.size
        text = f"picture {shown.number}: {width} pixels wide, {height} high"
        return Answer(text, {"size": [height, width]})


class Undo(Operation):
    """Take the last question back."""

    name = "undo"
    description = "Take back the last question with its answer, its segments and its pictures."
    arguments = NoArguments
    takes_picture = False

    def run(self, arguments: Mapping[str, Any], call: Call) -> Answer:
        """Undo."""
        NoArguments.read(arguments, self.name)
        undone = call.entry.session.undo()
        if undone is None:
            raise PromptError("there is no question to take back: ask one first.")
        left = [segment.label for segment in call.entry.session.segments]
        return Answer(
            f"taken back: {undone.question}", {"question": undone.question, "segments": left}
        )


class FolderArguments(ToolArguments):
    """Which saved session."""

    name: str = Field(
        description="Letters, digits, hyphens and underscores.", pattern=f"^{_FOLDER_NAME}$"
    )


class Save(Operation):
    """Write the session down.

    Args:
        folder: Where sessions lie, each in a folder of its own.
    """

    name = "save"
    description = "Save the session under a name on the server."
    arguments = FolderArguments
    takes_picture = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, arguments: Mapping[str, Any], call: Call) -> Answer:
        """Save."""
        name = FolderArguments.read(arguments, self.name).name
        call.entry.session.save(self._folder / name)
        return Answer(f"saved as {name}", {"name": name})


class Load(Operation):
    """Go on with a saved session.

    Args:
        folder: As for `Save`.
    """

    name = "load"
    description = "Go on with a saved session instead of the present one."
    arguments = FolderArguments
    takes_picture = False
    begins = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, arguments: Mapping[str, Any], call: Call) -> Answer:
        """Load."""
        name = FolderArguments.read(arguments, self.name).name
        place = self._folder / name
        if not place.is_dir():
            raise DataError(f"there is no saved session {name!r}: save one under this name first.")
        old = call.entry.session
        call.entry.session = old.reopen(place)
        session = call.entry.session
        counts = {"turns": len(session.turns), "pictures": len(session.pictures)}
        text = f"{name}: {counts['turns']} questions, {counts['pictures']} pictures"
        return Answer(text, counts, session.segments)
