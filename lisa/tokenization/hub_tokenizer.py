"""Any tokenizer of transformers, behind the project's own protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lisa.errors import CheckpointError, ConfigError
from lisa.tokens import IMAGE_TOKEN
from lisa.types import ToolDescription

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class HubTokenizer:
    """Any transformers tokenizer, seen through `TextTokenizer`."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Wraps a tokenizer.

        Raises:
            ConfigError: If the tokenizer has no end token.
        """
        if tokenizer.eos_token_id is None:
            raise ConfigError("The tokenizer has no end token; set eos_token in its files.")
        self.tokenizer = tokenizer
        # Some tokenizers name a begin token that they never write (SmolLM2's opens each turn).
        begin = tokenizer.bos_token_id
        writes_it = begin is not None and tokenizer("")["input_ids"][:1] == [begin]
        self._begin: int | None = int(begin) if writes_it else None

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> HubTokenizer:
        """Loads a local folder with transformers' AutoTokenizer.

        Raises:
            CheckpointError: If the folder holds no tokenizer that transformers can read.
        """
        from transformers import AutoTokenizer

        try:
            return cls(AutoTokenizer.from_pretrained(str(folder), local_files_only=True))
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{folder} holds no tokenizer that can be read; copy the tokenizer files next to "
                "the weights."
            ) from error

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the tokenizer's files."""
        self.tokenizer.save_pretrained(str(folder))

    @property
    def bos_token_id(self) -> int | None:
        """Id that the tokenizer itself puts before a text, if it does."""
        return self._begin

    @property
    def eos_token_id(self) -> int:
        """Id that ends an answer."""
        return int(self.tokenizer.eos_token_id)

    @property
    def eos_token(self) -> str:
        """The end token as text."""
        return str(self.tokenizer.eos_token)

    @property
    def has_chat_template(self) -> bool:
        """Whether the tokenizer's files say how a conversation is written."""
        return self.tokenizer.chat_template is not None

    @property
    def pad_token_id(self) -> int:
        """Id that fills a batch; the end token's where there is none."""
        pad = self.tokenizer.pad_token_id
        return self.eos_token_id if pad is None else int(pad)

    @property
    def vocab_size(self) -> int:
        """Number of ids, added tokens included."""
        return len(self.tokenizer)

    @property
    def model_max_length(self) -> int:
        """Longest sequence in tokens, as the tokenizer's configuration says."""
        return int(self.tokenizer.model_max_length)

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """Added and special tokens, and the picture's placeholder; longest first."""
        added = {str(token) for token in self.tokenizer.added_tokens_decoder.values()}
        tokens = {*added, *self.tokenizer.all_special_tokens, IMAGE_TOKEN}
        return tuple(sorted(tokens, key=lambda token: (-len(token), token)))

    def encode(self, text: str, add_bos: bool = True) -> list[int]:
        """Returns the ids of a text; control tokens in it are honoured."""
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        begin = [self._begin] if add_bos and self._begin is not None else []
        return [*begin, *map(int, ids)]

    def render_chat(
        self,
        messages: list[dict[str, Any]],
        add_generation_prompt: bool,
        tools: Sequence[ToolDescription] = (),
    ) -> str:
        """Writes a conversation with the tokenizer's own chat template.

        Args:
            messages: As transformers takes them.
            add_generation_prompt: End with the words after which the assistant begins to answer.
            tools: What the assistant may call.

        Raises:
            ConfigError: If the template cannot write these messages.
        """
        from jinja2 import TemplateError

        try:
            text = self.tokenizer.apply_chat_template(
                messages,
                tools=[{"type": "function", "function": asdict(tool)} for tool in tools] or None,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
            )
        except (TemplateError, TypeError) as error:
            raise ConfigError(
                f"The tokenizer's chat template cannot write this conversation ({error}): name "
                "another template."
            ) from error
        return str(text)

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        """Returns the text of ids; those below zero (a picture's placeholder) are left out."""
        known = [int(index) for index in ids if index >= 0]
        return str(
            self.tokenizer.decode(
                known,
                skip_special_tokens=skip_special_tokens,
                clean_up_tokenization_spaces=False,
            )
        )

    def convert_tokens_to_ids(self, token: str) -> int | None:
        """Returns the id of one token, or None if the vocabulary lacks it."""
        index: int | None = self.tokenizer.convert_tokens_to_ids(token)  # type: ignore[assignment]
        unknown = index == self.tokenizer.unk_token_id and token != self.tokenizer.unk_token
        return None if unknown else index
