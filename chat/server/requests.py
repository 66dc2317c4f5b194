"""What clients may ask for: OpenAI's chat completions, as far as this model can do them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from chat.server.bodies import (
    MAX_NAME_CHARACTERS,
    MAX_URL_CHARACTERS,
    Body,
    SegmentBody,
)

MAX_MESSAGES = 200
MAX_HISTORY_CHARACTERS = 100_000

Text: TypeAlias = Annotated[str, Field(max_length=MAX_HISTORY_CHARACTERS)]
ShortText: TypeAlias = Annotated[str, Field(max_length=MAX_NAME_CHARACTERS)]


class TextContent(Body):
    """Words of a message."""

    type: Literal["text"]
    text: Text


class PictureAddress(Body):
    """Where a picture is."""

    url: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_URL_CHARACTERS,
            description="data:image/png;base64,...; a web address only if the server allows it.",
        ),
    ]
    detail: Annotated[
        Literal["auto", "low", "high", "original"] | None,
        Field(description="Has no effect: every picture is read in one size."),
    ] = None


class PictureContent(Body):
    """A picture of a message."""

    type: Literal["image_url"]
    image_url: PictureAddress


class InstructionMessage(Body):
    """Instructions; they have no effect, and the answer says so in `warnings`."""

    role: Literal["system", "developer"]
    content: Text | Annotated[list[TextContent], Field(max_length=100)]
    name: ShortText | None = None


class UserMessage(Body):
    """A question, or a part of one: several in a row are one question."""

    role: Literal["user"]
    content: (
        Text
        | Annotated[
            list[Annotated[TextContent | PictureContent, Field(discriminator="type")]],
            Field(max_length=100),
        ]
    )
    name: ShortText | None = None


class AssistantMessage(Body):
    """An earlier answer, as the server gave it."""

    role: Literal["assistant"]
    content: Text | Annotated[list[TextContent], Field(max_length=100)] | None = None
    segments: Annotated[
        list[SegmentBody] | None,
        Field(
            max_length=200,
            description="Read only if the server no longer remembers the conversation.",
        ),
    ] = None
    steps: Annotated[list[dict[str, Any]] | None, Field(description="Has no effect.")] = None
    ending: Annotated[ShortText | None, Field(description="Has no effect.")] = None
    name: ShortText | None = None
    refusal: None = None
    audio: None = None
    function_call: None = None
    tool_calls: Annotated[list[Any] | None, Field(max_length=0)] = None
    annotations: Annotated[list[Any] | None, Field(max_length=0)] = None


Message: TypeAlias = Annotated[
    InstructionMessage | UserMessage | AssistantMessage, Field(discriminator="role")
]


class FunctionBody(Body):
    """A function by name; what else is said of it has no effect."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, Field(min_length=1, max_length=64)]


class ToolBody(Body):
    """One of the server's own tools that the assistant may use."""

    type: Literal["function"]
    function: FunctionBody


class StreamOptions(Body):
    """How to stream."""

    include_usage: bool | None = None
    include_obfuscation: Annotated[Literal[False] | None, Field()] = None


class TextFormat(Body):
    """The only form of answers."""

    type: Literal["text"]


NoPenalty: TypeAlias = Annotated[float | None, Field(ge=0, le=0)]


class CompletionRequest(Body):
    """A conversation whose last message wants an answer."""

    model: Annotated[str, Field(max_length=MAX_NAME_CHARACTERS)]
    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int | None, Field(ge=1, description="Most tokens of the answer.")] = None
    max_completion_tokens: Annotated[
        int | None, Field(ge=1, description="The same; it wins over max_tokens.")
    ] = None
    tools: Annotated[
        list[ToolBody] | None,
        Field(
            max_length=128,
            description="Which of the server's tools may be used; all, if left out.",
        ),
    ] = None
    tool_choice: Annotated[
        Literal["none", "auto"] | None, Field(description="'none': answer without tools.")
    ] = None
    temperature: Annotated[
        float | None,
        Field(ge=0, le=2, description="Has no effect: answers are always the likeliest ones."),
    ] = None
    top_p: Annotated[float | None, Field(ge=0, le=1, description="Has no effect, likewise.")] = None
    seed: Annotated[
        int | None, Field(description="Has no effect: the same request has the same answer.")
    ] = None
    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
    response_format: TextFormat | None = None
    frequency_penalty: NoPenalty = None
    presence_penalty: NoPenalty = None
    parallel_tool_calls: Annotated[
        bool | None, Field(description="Has no effect: tools are used one after the other.")
    ] = None
    store: Literal[False] | None = None
    user: Annotated[ShortText | None, Field(description="Has no effect.")] = None
    metadata: Annotated[dict[str, str] | None, Field(description="Has no effect.")] = None

    @property
    def warnings(self) -> list[str]:
        """What was asked for and is not done."""
        found = []
        if any(isinstance(message, InstructionMessage) for message in self.messages):
            found.append("system messages have no effect: ask in the user's message.")
        if self.temperature or (self.top_p is not None and self.top_p < 1):
            found.append("temperature and top_p have no effect: answers are the likeliest ones.")
        return found
