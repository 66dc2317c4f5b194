"""Words and token ids of the caption writer: BERT's lower-case vocabulary and two more marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from torch import Tensor

from lisa.errors import CheckpointError
from lisa.hub import resolve
from lisa.tagging.tags import read_lines
from lisa.tokens import IGNORE_INDEX

VOCABULARY_FILE = "vocab.txt"
BERT = "google-bert/bert-base-uncased"
_PROMPT = "a picture of "
_LONGEST = 40
_NEEDED = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


@dataclass(frozen=True)
class CaptionIds:
    """Captions that a model is to learn.

    Attributes:
        ids: (N, T) long, with prompt and marks, padded.
        mask: (N, T), 0 where they are padded.
        labels: (N, T), the ids that are learned; `IGNORE_INDEX` for prompt and padding.
    """

    ids: Tensor
    mask: Tensor
    labels: Tensor


class CaptionWords:
    """Turns tags and prompts into ids, and ids into captions.

    Attributes:
        vocabulary: BERT's tokens in the order of their ids.
        caption_start: Id of the mark that begins a caption.
        tags_start: Id of the mark that begins a list of tags.
        end: Id of the mark that ends a text.
        padding: Id that fills short texts.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.vocabulary = tuple(vocabulary)
        ids = {token: number for number, token in enumerate(self.vocabulary)}
        missing = [token for token in _NEEDED if token not in ids]
        if missing or len(ids) != len(self.vocabulary):
            fault = f"lacks {', '.join(missing)}" if missing else "holds a token twice"
            raise CheckpointError(f"The vocabulary {fault}: give vocab.txt of {BERT}.")
        self.caption_start, self.tags_start = len(ids), len(ids) + 1
        self.end, self.padding = ids["[SEP]"], ids["[PAD]"]
        self._start = ids["[CLS]"]
        self._marks = {ids[token] for token in _NEEDED if token != "[UNK]"} | {
            self.caption_start,
            self.tags_start,
        }
        self._tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]"))
        self._tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        self._tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self._tokenizer.decoder = decoders.WordPiece(prefix="##")

    @classmethod
    def find(cls, given: str | Path | None, folder: Path, offline: bool = False) -> CaptionWords:
        """Reads the vocabulary from a path, from beside the weights, or from BERT on the hub.

        Args:
            given: `vocab.txt` or its folder; None looks further.
            folder: Where the weights lie.
            offline: Use only what was downloaded before.

        Raises:
            CheckpointError: If it is nowhere; the sentence names it.
        """
        path = folder / VOCABULARY_FILE if given is None else Path(given).expanduser()
        if path.is_dir():
            path = path / VOCABULARY_FILE
        if given is None and not path.is_file():
            try:
                folder = resolve(BERT, None, offline, wanted=(VOCABULARY_FILE,), pickled=None)
            except CheckpointError as error:
                raise CheckpointError(
                    f"Captions need {VOCABULARY_FILE} of {BERT}: put it beside the weights or give "
                    f"its path. ({error})"
                ) from error
            path = folder / VOCABULARY_FILE
        return cls(read_lines(path))

    def __len__(self) -> int:
        return len(self.vocabulary) + 2

    def save(self, folder: Path) -> None:
        """Writes the vocabulary where `find` looks for it."""
        text = "".join(f"{token}\n" for token in self.vocabulary)
        (folder / VOCABULARY_FILE).write_text(text, encoding="utf-8")

    def encode_tags(self, lists: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        """Returns ids (N, 40) and attention mask (N, 40) of lists of tags; long lists are cut."""
        rows = []
        for names in lists:
            ids = self._ids(" | ".join(names))[: _LONGEST - 2]
            rows.append([self.tags_start, *ids, self.end])
        filled = [row + [self.padding] * (_LONGEST - len(row)) for row in rows]
        mask = [[1] * len(row) + [0] * (_LONGEST - len(row)) for row in rows]
        return torch.tensor(filled), torch.tensor(mask)

    def prompt(self) -> list[int]:
        """Returns the ids with which every caption begins."""
        return [self.caption_start, *self._ids(_PROMPT)]

    def encode_captions(self, captions: Sequence[str]) -> CaptionIds:
        """Returns ids of captions that a model is to learn; long ones are cut.

        Args:
            captions: Sentences without the prompt, which is put in front.
        """
        rows = [
            [self.caption_start, *self._ids(_PROMPT + text)[: _LONGEST - 2], self.end]
            for text in captions
        ]
        longest = max(map(len, rows), default=0)
        prompt = len(self.prompt())

        def filled(rows: list[list[int]], filler: int) -> Tensor:
            return torch.tensor([row + [filler] * (longest - len(row)) for row in rows])

        return CaptionIds(
            ids=filled(rows, self.padding),
            mask=filled([[1] * len(row) for row in rows], 0),
            labels=filled([[IGNORE_INDEX] * prompt + row[prompt:] for row in rows], IGNORE_INDEX),
        )

    def decode(self, ids: Sequence[int]) -> str:
        """Returns the caption without prompt and marks."""
        text = self._tokenizer.decode([number for number in ids if number not in self._marks])
        return text[len(_PROMPT) :].strip()

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids
