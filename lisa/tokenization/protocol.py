"""What the rest of the code knows of a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class TextTokenizer(Protocol):
    """What the processor and the prompts need from a tokenizer."""

    @property
    def bos_token_id(self) -> int | None:
        """Id that begins a sequence, or None where sequences begin without one."""

    @property
    def eos_token_id(self) -> int:
        """Id that ends an answer."""

    @property
    def pad_token_id(self) -> int:
        """Id that fills a batch."""

    @property
    def vocab_size(self) -> int:
        """Number of ids, added tokens included."""

    @property
    def model_max_length(self) -> int:
        """Longest sequence in tokens, as the tokenizer's configuration says."""

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """Strings with a meaning of their own, which text from a user must not produce."""

    def encode(self, text: str, add_bos: bool = True) -> list[int]:
        """Returns the ids of a text; control tokens in it are honoured."""

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        """Returns the text of ids; `skip_special_tokens` leaves out begin, end and padding."""

    def convert_tokens_to_ids(self, token: str) -> int | None:
        """Returns the id of one token, or None if the vocabulary lacks it."""

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the files that `load_tokenizer` reads."""
