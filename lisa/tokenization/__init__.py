"""Text to token ids and back: a small protocol, the released checkpoints' rules, and an adapter."""

from __future__ import annotations

from pathlib import Path

from lisa.tokenization.escape import escape_control_tokens, escape_conversation
from lisa.tokenization.hub_tokenizer import HubTokenizer
from lisa.tokenization.legacy_llama import SENTENCEPIECE_FILE, LegacyLlamaTokenizer
from lisa.tokenization.protocol import TextTokenizer

__all__ = [
    "HubTokenizer",
    "LegacyLlamaTokenizer",
    "TextTokenizer",
    "escape_control_tokens",
    "escape_conversation",
    "load_tokenizer",
]


def load_tokenizer(folder: str | Path) -> TextTokenizer:
    """Loads the tokenizer of a folder.

    A sentencepiece model without a `tokenizer.json` is what transformers 4.31 wrote for a slow
    LLaMA tokenizer, so it gets the 4.31 rules; every other folder is transformers' own business.

    Raises:
        CheckpointError: If the folder holds no tokenizer that can be read.
    """
    folder = Path(folder)
    if (folder / SENTENCEPIECE_FILE).is_file() and not (folder / "tokenizer.json").is_file():
        return LegacyLlamaTokenizer.from_pretrained(folder)
    return HubTokenizer.from_pretrained(folder)
