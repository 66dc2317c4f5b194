"""The chat template that came with a checkpoint's tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from lisa.errors import ConfigError
from lisa.prompts.template import Piece, Template, alternating
from lisa.prompts.turn_templates import TEMPLATES
from lisa.tokenization import HubTokenizer
from lisa.types import Conversation, Message, TextPart, ToolDescription


@dataclass(frozen=True)
class OwnChat(Template):
    """The chat template that came with a checkpoint's tokenizer, with its own marks for pictures.

    Attributes:
        tokenizer: That brings the template.
    """

    tokenizer: HubTokenizer
    writes_begin: ClassVar[bool] = True

    def pieces(
        self, conversation: Conversation, image_placeholder: str, add_generation_prompt: bool
    ) -> list[Piece]:
        """Returns the string of `render` cut where supervision begins and ends.

        Raises:
            ConfigError: If the template writes no end token behind an answer, or earlier turns
                differently once another follows: a model could not learn from that.
        """
        messages = [_chat_message(message) for message in alternating(conversation)]
        tools = conversation.tools
        pieces: list[Piece] = []
        written = ""
        for place, message in enumerate(messages):
            if message["role"] == "assistant":
                before = self._continued(written, messages[:place], tools, True)
                after = self._continued(before, messages[: place + 1], tools, False)
                answer, end, rest = after[len(before) :].rpartition(self.tokenizer.eos_token)
                if not end:
                    raise _unusable("writes no end token behind an answer")
                pieces += [Piece(before[len(written) :], False), Piece(answer + end, True)]
                pieces.append(Piece(rest, False))
                written = after
        whole = self._continued(written, messages, tools, add_generation_prompt)
        return [*pieces, Piece(whole[len(written) :], False)]

    def _continued(
        self,
        written: str,
        messages: list[dict[str, Any]],
        tools: tuple[ToolDescription, ...],
        cue: bool,
    ) -> str:
        text = self.tokenizer.render_chat(messages, cue, tools)
        if not text.startswith(written):
            raise _unusable("writes earlier turns differently once another follows")
        return text


def _unusable(reason: str) -> ConfigError:
    return ConfigError(
        f"The chat template of the checkpoint's tokenizer {reason}: name one of "
        f"{', '.join(sorted(TEMPLATES))} as the template instead."
    )


def _chat_message(message: Message) -> dict[str, Any]:
    """Writes a message as chat templates of vision-language models take it."""
    content = []
    for part in message.parts:
        if isinstance(part, TextPart):
            content.append({"type": "text", "text": part.text})
        else:
            content.append({"type": "image"})
    return {"role": message.role, "content": content}
