"""Conversations as the text and the token ids that a model was trained on.

A template turns a `Conversation` into one string; weights depend on its every character, so the
wordings below are facts of the published checkpoints. Control tokens in the text of messages are
honoured: whoever takes text from a user breaks them first, with `escape_control_tokens`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, ClassVar, NamedTuple

from lisa.errors import ConfigError, PromptError
from lisa.tokenization import HubTokenizer, TextTokenizer
from lisa.tokens import IGNORE_INDEX, IMAGE_END_TOKEN, IMAGE_START_TOKEN, IMAGE_TOKEN
from lisa.types import Conversation, Message, RegionPart, TextPart


class Piece(NamedTuple):
    """A stretch of a rendered conversation.

    Attributes:
        text: Its characters.
        supervised: Whether the model has to learn to write it (an answer and its end).
    """

    text: str
    supervised: bool


class SupervisedIds(NamedTuple):
    """One conversation as a training example.

    Attributes:
        input_ids: Token ids, with one id for each picture.
        labels: The same ids inside answers, `IGNORE_INDEX` elsewhere; equally long.
    """

    input_ids: list[int]
    labels: list[int]


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
        messages = _alternating(conversation)
        system = self.system
        if messages and messages[0].role == "system":
            system = _words(messages[0], image_placeholder)
            messages = messages[1:]
        pieces = []
        for index, message in enumerate(messages):
            words = _words(message, image_placeholder)
            if message.role == "user":
                pieces.append(Piece(self._question(words, system if index == 0 else None), False))
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
        messages = [_chat_message(message) for message in _alternating(conversation)]
        pieces: list[Piece] = []
        written = ""
        for place, message in enumerate(messages):
            if message["role"] == "assistant":
                before = self._continued(written, messages[:place], True)
                after = self._continued(before, messages[: place + 1], False)
                answer, end, rest = after[len(before) :].rpartition(self.tokenizer.eos_token)
                if not end:
                    raise _unusable("writes no end token behind an answer")
                pieces += [Piece(before[len(written) :], False), Piece(answer + end, True)]
                pieces.append(Piece(rest, False))
                written = after
        whole = self._continued(written, messages, add_generation_prompt)
        return [*pieces, Piece(whole[len(written) :], False)]

    def _continued(self, written: str, messages: list[dict[str, Any]], cue: bool) -> str:
        text = self.tokenizer.render_chat(messages, cue)
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

OWN_CHAT = "chat"
"""Name of the chat template that a tokenizer brings."""

# LISA's own commands use llava_v1 with all its checkpoints, those on LLaMA 2 included.
_TEMPLATE_OF_REPOSITORY = {
    "lisa-7b-v1": "llava_v1",
    "lisa-7b-v1-explanatory": "llava_v1",
    "lisa-13b-llama2-v1": "llava_v1",
    "lisa-13b-llama2-v1-explanatory": "llava_v1",
    "lisa_plus_7b": "vicuna_v1",
}
_TEMPLATE_OF_THE_REST = "llava_v1"


def get_template(name: str, tokenizer: TextTokenizer | None = None) -> Template:
    """Returns a template by its name.

    Args:
        name: Key of `TEMPLATES`, or `OWN_CHAT`.
        tokenizer: Of the model; only its own chat template needs it.

    Raises:
        ConfigError: If no template has this name, or the tokenizer brings none.
    """
    if name == OWN_CHAT and isinstance(tokenizer, HubTokenizer) and tokenizer.has_chat_template:
        return OwnChat(name, tokenizer)
    if name == OWN_CHAT:
        raise ConfigError(
            f"The tokenizer brings no chat template: choose one of {', '.join(sorted(TEMPLATES))}."
        )
    if name not in TEMPLATES:
        raise ConfigError(
            f'There is no template "{name}"; choose one of {", ".join(sorted(TEMPLATES))}.'
        )
    return TEMPLATES[name]


def default_template(name_or_path: str) -> str:
    """Returns the template's name for a released checkpoint, whose own files do not say it.

    Args:
        name_or_path: Hub id, a folder named like the repository, or the hub's own cache of it;
            other names get "llava_v1", which is what LISA's own programs assume.
    """
    for part in reversed(PurePath(name_or_path).parts):
        # The hub's cache calls its folders models--owner--name.
        repository = part.rpartition("--")[2].lower()
        if repository in _TEMPLATE_OF_REPOSITORY:
            return _TEMPLATE_OF_REPOSITORY[repository]
    return _TEMPLATE_OF_THE_REST


def image_placeholder(tokenizer: TextTokenizer) -> str:
    """Returns what stands for a picture: wrapped where the vocabulary has the two marks."""
    marks = (IMAGE_START_TOKEN, IMAGE_END_TOKEN)
    if all(tokenizer.convert_tokens_to_ids(mark) is not None for mark in marks):
        return f"{IMAGE_START_TOKEN}{IMAGE_TOKEN}{IMAGE_END_TOKEN}"
    return IMAGE_TOKEN


def encode_prompt(
    tokenizer: TextTokenizer, text: str, image_token_id: int, add_bos: bool = True
) -> list[int]:
    """Returns the ids of a rendered conversation, with `image_token_id` once for each `<image>`.

    The text on either side of a placeholder is tokenised on its own, as LLaVA and LISA do.
    `add_bos` is False for templates that write the begin token.
    """
    ids: list[int] = []
    for index, chunk in enumerate(text.split(IMAGE_TOKEN)):
        if index:
            ids.append(image_token_id)
        ids += tokenizer.encode(chunk, add_bos=add_bos and index == 0)
    return ids


def encode_training(
    tokenizer: TextTokenizer,
    template: Template,
    conversation: Conversation,
    image_token_id: int,
    max_tokens: int | None = None,
) -> SupervisedIds:
    """Returns a whole conversation as a training example; answers and their ends are supervised.

    Args:
        tokenizer: The model's tokenizer.
        template: The model's template.
        conversation: Ends with an answer.
        image_token_id: Written once for each picture.
        max_tokens: Cut behind this many ids, pictures counted as one each; None keeps all.

    Raises:
        PromptError: As `Template.render`.
    """
    pieces = template.pieces(conversation, image_placeholder(tokenizer), False)
    add_bos = not template.writes_begin
    whole = "".join(piece.text for piece in pieces)
    ids = encode_prompt(tokenizer, whole, image_token_id, add_bos)
    labels = [IGNORE_INDEX] * len(ids)
    text, begin = "", 0
    for piece in pieces:
        text += piece.text
        end = _shared_length(ids, encode_prompt(tokenizer, text, image_token_id, add_bos))
        if piece.supervised:
            labels[begin:end] = ids[begin:end]
        begin = end
    return SupervisedIds(ids[:max_tokens], labels[:max_tokens])


def _shared_length(ids: list[int], beginning: list[int]) -> int:
    """Counts equal ids from the left: a token may reach across the end of the shorter text."""
    for index, (one, other) in enumerate(zip(ids, beginning, strict=False)):
        if one != other:
            return index
    return min(len(ids), len(beginning))


def _alternating(conversation: Conversation) -> tuple[Message, ...]:
    messages = conversation.messages
    if any(isinstance(part, RegionPart) for message in messages for part in message.parts):
        raise PromptError(
            "This model does not take regions in a question; describe the place in words."
        )
    turns = messages[1:] if messages and messages[0].role == "system" else messages
    for index, message in enumerate(turns):
        expected = "assistant" if index % 2 else "user"
        if message.role != expected:
            raise PromptError(
                f"Turn {index + 1} of the conversation is the {message.role}'s where the "
                f"{expected}'s was expected; user and assistant must alternate, the user first."
            )
    return messages


def _words(message: Message, placeholder: str) -> str:
    words = []
    for part in message.parts:
        if isinstance(part, TextPart):
            words.append(part.text)
        else:
            words.append(f"{IMAGE_TOKEN}\n")
    # Also placeholders written into the text itself: both are the same control token by now.
    return "".join(words).replace(IMAGE_TOKEN, placeholder)
