"""Who says what the model says: the session's own model, or a server's shared one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from chat.forgetting import readable
from chat.readings import Readings
from lisa.types import Conversation, ImageSize, Prediction

if TYPE_CHECKING:
    from chat.state import SessionPicture
    from chat.workbench import Workbench


class Speaker(Protocol):
    """Continues conversations about pictures."""

    def answer(
        self,
        picture: SessionPicture,
        conversation: Conversation,
        *,
        max_new_tokens: int,
        watch: Callable[[str], bool],
    ) -> Prediction:
        """Say the next message of the assistant.

        Args:
            picture: The one that the conversation shows.
            conversation: Ends with a question or an observation.
            max_new_tokens: Most tokens of it.
            watch: Gets the whole text after every few tokens; False ends it there.

        Raises:
            PromptError: If the conversation is too long.
        """


@runtime_checkable
class ReadingSpeaker(Protocol):
    """A speaker that keeps what it has read of a conversation."""

    def read_ahead(self, picture: SessionPicture, conversation: Conversation) -> None:
        """Read a conversation that will go on, without saying anything.

        Args:
            picture: The one that it shows.
            conversation: Ends with the beginning of a question.

        Raises:
            PromptError: If it is too long.
        """


class LocalSpeaker:
    """Asks the workbench's model, which reads only what is new of each conversation.

    What it has read of a picture's conversation stays in memory for the pictures that were asked
    about last.
    """

    def __init__(self, workbench: Workbench) -> None:
        """Take the models of a workbench."""
        self._workbench = workbench
        self._readings = Readings()

    def answer(
        self,
        picture: SessionPicture,
        conversation: Conversation,
        *,
        max_new_tokens: int,
        watch: Callable[[str], bool],
    ) -> Prediction:
        """Say the next message of the assistant; of a long conversation it reads the end only."""
        size = ImageSize(picture.image.height, picture.image.width)
        with self._workbench.lock:
            pipeline = self._workbench.pipeline
            return pipeline.answer(
                [self._workbench.encode(picture)],
                [readable(pipeline, size, conversation, max_new_tokens)],
                [0],
                max_new_tokens=max_new_tokens,
                reading=self._readings.of(picture),
                watch=lambda _, text: watch(text),
            )[0]

    def read_ahead(self, picture: SessionPicture, conversation: Conversation) -> None:
        """Read a conversation that will go on, without saying anything."""
        # One token is the least that an answer can have; nobody hears it.
        self.answer(picture, conversation, max_new_tokens=1, watch=lambda _: False)
