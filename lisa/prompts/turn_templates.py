"""Templates that write turn behind turn: those of LLaVA, LLaMA 2 and ChatML."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from lisa.errors import PromptError
from lisa.prompts.template import Piece, Template, alternating
from lisa.tokens import IMAGE_TOKEN
from lisa.types import Conversation, Message, TextPart, ToolDescription


@dataclass(frozen=True)
class TurnTemplate(Template):
    """A template that writes turn behind turn.

    Attributes:
        system: What a conversation without a system message of its own begins with.
    """

    system: str

    def pieces(
        self, conversation: Conversation, image_placeholder: str, add_generation_prompt: bool
    ) -> list[Piece]:
        """Returns the string of `render` cut where supervision begins and ends."""
        messages = alternating(conversation)
        system = self.system
        if messages and messages[0].role == "system":
            system = _words(messages[0], image_placeholder)
            messages = messages[1:]
        if conversation.tools:
            system = self._offer(system, conversation.tools)
        pieces = []
        for index, message in enumerate(messages):
            words = _words(message, image_placeholder)
            if message.role == "user":
                pieces.append(Piece(self._question(words, system if index == 0 else None), False))
            elif message.role == "tool":
                pieces.append(Piece(self._observation(words), False))
            else:
                pieces += [Piece(self._cue(), False), *self._answer(words)]
        if add_generation_prompt:
            pieces.append(Piece(self._cue(), False))
        return pieces

    @abstractmethod
    def _question(self, words: str, system: str | None) -> str:
        """Writes a user's turn; `system` is given with the first one only."""

    @abstractmethod
    def _cue(self) -> str:
        """Writes what tells the assistant to speak."""

    @abstractmethod
    def _answer(self, words: str) -> list[Piece]:
        """Writes an answer and its end."""

    def _offer(self, system: str, tools: tuple[ToolDescription, ...]) -> str:
        """Adds to the system text which tools there are."""
        raise self._without_tools()

    def _observation(self, words: str) -> str:
        """Writes what a tool answered."""
        raise self._without_tools()

    def _without_tools(self) -> PromptError:
        return PromptError(
            f"Conversations of the template {self.name} know no tools: leave them out, or choose "
            "chatml or the checkpoint's own chat template."
        )


class PlainRoles(TurnTemplate):
    """Vicuna's form: one line, "USER: … ASSISTANT: …", an end token after each answer."""

    def _question(self, words: str, system: str | None) -> str:
        opening = f"{system} " if system else ""
        return f"{opening}USER: {words} "

    def _cue(self) -> str:
        return "ASSISTANT:"

    def _answer(self, words: str) -> list[Piece]:
        return [Piece(f" {words}</s>", True)]


class LlamaInstructions(TurnTemplate):
    """LLaMA 2's form: questions in [INST] brackets, the system text inside the first."""

    def _question(self, words: str, system: str | None) -> str:
        # The tokenizer writes the begin token of the first question; later ones bring theirs.
        if system is None:
            return f"<s>[INST] {words} [/INST]"
        opening = f"<<SYS>>\n{system}\n<</SYS>>\n\n" if system else ""
        return f"[INST] {opening}{words} [/INST]"

    def _cue(self) -> str:
        return ""

    def _answer(self, words: str) -> list[Piece]:
        return [Piece(f" {words} </s>", True)]


class ChatMarkup(TurnTemplate):
    """ChatML, which SmolLM2 and Qwen speak: each turn stands between two marks, after its role."""

    def _question(self, words: str, system: str | None) -> str:
        opening = f"<|im_start|>system\n{system}<|im_end|>\n" if system else ""
        return f"{opening}<|im_start|>user\n{words}<|im_end|>\n"

    def _cue(self) -> str:
        return "<|im_start|>assistant\n"

    def _answer(self, words: str) -> list[Piece]:
        return [Piece(f"{words}<|im_end|>", True), Piece("\n", False)]

    def _offer(self, system: str, tools: tuple[ToolDescription, ...]) -> str:
        # In one line: a small model that was trained with its tools needs no more than their names.
        offer = f"Tools: {', '.join(tool.signature for tool in tools)}"
        return f"{system}\n{offer}" if system else offer

    def _observation(self, words: str) -> str:
        return f"<|im_start|>tool\n{words}<|im_end|>\n"


def _words(message: Message, placeholder: str) -> str:
    words = []
    for part in message.parts:
        if isinstance(part, TextPart):
            words.append(part.text)
        else:
            words.append(f"{IMAGE_TOKEN}\n")
    # Also placeholders written into the text itself: both are the same control token by now.
    return "".join(words).replace(IMAGE_TOKEN, placeholder)


_CURIOUS = (
    "A chat between a curious {0} and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the {0}'s questions."
)
_LLAVA_LLAMA_2 = (
    "You are a helpful language and vision assistant. "
    "You are able to understand the visual content that the user provides, "
    "and assist the user with a variety of tasks using natural language."
)

TEMPLATES: dict[str, Template] = {
    template.name: template
    for template in (
        PlainRoles("llava_v1", _CURIOUS.format("human")),
        PlainRoles("vicuna_v1", _CURIOUS.format("user")),
        LlamaInstructions("llava_llama_2", _LLAVA_LLAMA_2),
        ChatMarkup("chatml", ""),
    )
}
