"""What a tool is: a name, a sentence, typed arguments, and what it does with a scene."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeAlias, TypeVar

from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from chat.state import SessionPicture, SessionSegment
from lisa.errors import DataError
from lisa.types import Segment, ToolDescription

if TYPE_CHECKING:
    from chat.cancellation import Cancellation
    from chat.workbench import Workbench


class ToolArguments(BaseModel):
    """Arguments of a tool; unknown ones are refused, and texts are not read as numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @classmethod
    def read(cls, arguments: Mapping[str, Any], tool: str) -> Self:
        """Return arguments as their tool takes them.

        Args:
            arguments: JSON values by name.
            tool: Named in the error.

        Raises:
            DataError: Naming every argument that is missing, unknown or of a wrong kind.
        """
        try:
            return cls.model_validate(dict(arguments))
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}"
                for one in error.errors(include_url=False, include_input=False)[:5]
            )
            raise DataError(f"{tool} does not take these arguments ({faults}).") from error


@dataclass(frozen=True, eq=False)
class NewSegment:
    """A segment that a tool found; the session gives it its name.

    Attributes:
        segment: Mask, box, score.
        what: What it shows, if the tool knows.
        picture: Number of its picture; None is the scene's.
    """

    segment: Segment
    what: str | None = None
    picture: int | None = None


@dataclass(frozen=True, eq=False)
class NewPicture:
    """A picture that a tool made; the session gives it its number.

    Attributes:
        image: RGB.
        name: What it is called.
    """

    image: Image.Image
    name: str


@dataclass(frozen=True, eq=False)
class ToolResult:
    """What a tool found.

    Attributes:
        text: What the model reads, in the words of `lisa.observations`.
        data: The same and more as JSON values.
        segments: Those that are new, in the order of the names that `ToolScene.add` gave them.
        pictures: Those that are new, likewise.
    """

    text: str
    data: Mapping[str, Any]
    segments: tuple[SessionSegment, ...] = ()
    pictures: tuple[SessionPicture, ...] = ()


class ToolScene(ABC):
    """What a tool sees of a session, and where it puts what it finds; one object for each call."""

    picture: SessionPicture
    workbench: Workbench
    cancellation: Cancellation

    @property
    @abstractmethod
    def segments(self) -> Sequence[SessionSegment]:
        """All segments that have names, oldest first."""

    @property
    @abstractmethod
    def pictures(self) -> Sequence[SessionPicture]:
        """All pictures; a segment that `find` returns may lie on any of them."""

    @abstractmethod
    def find(self, reference: str) -> SessionSegment:
        """Return the segment that a reference means.

        Args:
            reference: A name such as "#2"; or words such as "cup", which are looked for among the
                segments' own words first, and then in the picture.

        Raises:
            DataError: If there is none; the sentence is for the model to read.
        """

    @abstractmethod
    def add(self, found: NewSegment) -> SessionSegment:
        """Give a segment its name. One that has the same mask by IoU > 0.9 keeps its old name."""

    @abstractmethod
    def add_picture(self, made: NewPicture) -> SessionPicture:
        """Give a picture its number."""


Arguments = TypeVar("Arguments", bound=ToolArguments)
_NAME = re.compile(r"[a-z][a-z_]{1,31}")


class Tool(ABC, Generic[Arguments]):
    """A tool of the assistant.

    A subclass sets the three class attributes; they are checked when the class is made.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    arguments: ClassVar[type[ToolArguments]]

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a tool that a model could not be told of."""
        super().__init_subclass__(**options)
        if not _NAME.fullmatch(getattr(cls, "name", "")):
            raise TypeError(f"{cls.__name__}.name must be lower-case letters and underscores.")
        if not getattr(cls, "description", "").endswith("."):
            raise TypeError(f"{cls.__name__}.description must be a sentence.")
        arguments = getattr(cls, "arguments", None)
        if not (isinstance(arguments, type) and issubclass(arguments, ToolArguments)):
            raise TypeError(f"{cls.__name__}.arguments must be a class of ToolArguments.")
        silent = [name for name, one in arguments.model_fields.items() if not one.description]
        if silent:
            raise TypeError(f"{cls.__name__}: the argument {silent[0]} has no description.")

    @cached_property
    def describe(self) -> ToolDescription:
        """What a model is told of it."""
        schema = self.arguments.model_json_schema()
        schema.pop("title", None)
        return ToolDescription(self.name, self.description, schema)

    def check(self, arguments: Mapping[str, Any]) -> Arguments:
        """Return the arguments as the tool takes them.

        Raises:
            DataError: Naming every argument that is missing, unknown or of a wrong kind.
        """
        return self.arguments.read(arguments, self.name)  # type: ignore[return-value]

    @abstractmethod
    def run(self, arguments: Arguments, scene: ToolScene) -> ToolResult:
        """Do the work.

        Raises:
            LisaError: If it cannot be done; the sentence becomes an observation.
        """


AnyTool: TypeAlias = Tool[Any]
"""A tool whose arguments the reader need not know."""
