"""A small sentencepiece tokenizer in the files of a released checkpoint, trained on the spot."""

from __future__ import annotations

import io
import json
from pathlib import Path

import sentencepiece

SENTENCES = (
    "A chat between a curious human and an assistant.",
    "Can you segment the red cup in this image? Sure, it is the cup near the window.",
    "What would I use to call for help? Please output segmentation mask and explain why.",
)


def write_tokenizer(
    folder: Path, added: tuple[str, ...], *, legacy: bool = True, vocab_size: int = 300
) -> Path:
    """Writes tokenizer.model and its JSON files; `added` tokens follow the vocabulary in order."""
    folder.mkdir(parents=True, exist_ok=True)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 4),
        model_writer=model,
        model_type="bpe",
        vocab_size=vocab_size,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        character_coverage=1.0,
        minloglevel=2,
        hard_vocab_limit=True,
    )
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    special = {
        name: {"content": content, "lstrip": False, "rstrip": False}
        for name, content in (("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>"))
    }
    files = {
        "added_tokens.json": {token: vocab_size + i for i, token in enumerate(added)},
        "special_tokens_map.json": {**special, "pad_token": "<unk>"},
        "tokenizer_config.json": {"legacy": legacy, "model_max_length": 64},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder
