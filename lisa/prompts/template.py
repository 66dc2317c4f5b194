"""What a conversation template is, and which order of turns every template takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from lisa.errors import PromptError
from lisa.tokens import IMAGE_TOKEN
from lisa.types import Conversation, Message, RegionPart, Role


class Piece(NamedTuple):
    """A stretch of a rendered conversation.

    Attributes:
        text: Its characters.
        supervised: Whether the model has to learn to write it (an answer and its end).
    """

    text: str
    supervised: bool


@dataclass(frozen=True)
class Template(ABC):
    """How a family of checkpoints writes a conversation.

    Attributes:
        name: Its key in `TEMPLATES`, or `OWN_CHAT`.
        writes_begin: Whether the text holds the begin token, so that the tokenizer must not add it.
    """

    name: str
    writes_begin: ClassVar[bool] = False

    def render(
        self,
        conversation: Conversation,
        image_placeholder: str = IMAGE_TOKEN,
        add_generation_prompt: bool = True,
    ) -> str:
        """Writes a conversation as one string.

        Args:
            conversation: Turns of user and assistant, after at most one system message.
            image_placeholder: What stands for a picture, see `image_placeholder`.
            add_generation_prompt: End with the words after which the assistant begins to answer.

        Raises:
            PromptError: If the turns do not alternate, or a message points at a region.
        """
        pieces = self.pieces(conversation, image_placeholder, add_generation_prompt)
        return "".join(piece.text for piece in pieces)

    @abstractmethod
    def pieces(
        self, conversation: Conversation, image_placeholder: str, add_generation_prompt: bool
    ) -> list[Piece]:
        """Returns the string of `render` cut where supervision begins and ends."""


def alternating(conversation: Conversation) -> tuple[Message, ...]:
    """Returns the messages of a conversation whose turns are in an order that can be written.

    Raises:
        PromptError: If they are not, or a message points at a region.
    """
    messages = conversation.messages
    if any(isinstance(part, RegionPart) for message in messages for part in message.parts):
        raise PromptError(
            "This model does not take regions in a question; describe the place in words."
        )
    turns = messages[1:] if messages and messages[0].role == "system" else messages
    # A tool may answer the assistant, which speaks again then.
    expected: tuple[Role, ...] = ("user",)
    for index, message in enumerate(turns):
        if message.role not in expected:
            raise PromptError(
                f"Turn {index + 1} of the conversation is the {message.role}'s where the "
                f"{expected[0]}'s was expected; user and assistant must alternate, the user first."
            )
        expected = ("user", "tool") if message.role == "assistant" else ("assistant",)
    return messages
