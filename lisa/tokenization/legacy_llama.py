"""The tokenisation that released LISA weights were trained with: transformers 4.31, slow LLaMA.

Later versions of transformers cut text around control tokens differently: they insert tokens that
the weights never saw, and so move the state that becomes a mask. That is why the 4.31 rules are
stated here, on top of sentencepiece.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lisa.errors import CheckpointError, ConfigError
from lisa.tokens import IMAGE_TOKEN

SENTENCEPIECE_FILE = "tokenizer.model"
_WORD_START = "\u2581"  # sentencepiece writes the blank before a word as this character
_SPECIAL_NAMES = ("bos_token", "eos_token", "unk_token", "pad_token")


class LegacyLlamaTokenizer:
    """The slow LLaMA tokenizer as transformers 4.31 ran it, token for token.

    The rules: the text is cut at control tokens (leftmost, longest first). Blanks and line breaks
    on both sides of an *added* token, such as `[SEG]`, are dropped; those around begin, end and
    unknown are kept. Each remaining piece is encoded by sentencepiece on its own, and so begins
    with a fresh word-start mark, unless the configuration says `legacy: false`.
    """

    def __init__(
        self,
        model_proto: bytes,
        added_tokens: Mapping[str, int],
        special_tokens_map: Mapping[str, Any],
        tokenizer_config: Mapping[str, Any],
    ) -> None:
        """Builds the tokenizer from the contents of its four files.

        Args:
            model_proto: Contents of `tokenizer.model`.
            added_tokens: Contents of `added_tokens.json`, token to id.
            special_tokens_map: Contents of `special_tokens_map.json`.
            tokenizer_config: Contents of `tokenizer_config.json`.

        Raises:
            CheckpointError: If the sentencepiece model cannot be read.
            ConfigError: If a special token has no id.
        """
        import sentencepiece

        try:
            self._pieces = sentencepiece.SentencePieceProcessor(model_proto=model_proto)
        except (RuntimeError, TypeError) as error:
            raise CheckpointError(
                f"{SENTENCEPIECE_FILE} is not a sentencepiece model; download it again."
            ) from error
        self._model_proto = model_proto
        self._special_tokens_map = dict(special_tokens_map)
        self._tokenizer_config = dict(tokenizer_config)
        self.added_tokens = dict(added_tokens)
        self._added_by_id = {index: token for token, index in self.added_tokens.items()}
        self.legacy = bool(tokenizer_config.get("legacy", True))

        specs = _special_token_specs(special_tokens_map, tokenizer_config)
        self._special = {name: _content(spec) for name, spec in specs.items()}
        self._keeps_neighbours = {
            spec["content"]: spec for spec in specs.values() if isinstance(spec, Mapping)
        }
        extra = special_tokens_map.get("additional_special_tokens", [])
        self._special_contents = {*self._special.values(), *map(_content, extra)}
        for token in self._special_contents:
            if self.convert_tokens_to_ids(token) is None:
                raise ConfigError(
                    f'The special token "{token}" has no id: neither {SENTENCEPIECE_FILE} nor '
                    "added_tokens.json knows it; use the tokenizer files that came with the "
                    "weights."
                )
        whole = sorted({*self.added_tokens, *self._special_contents}, key=len, reverse=True)
        self._whole = frozenset(whole)
        self._cuts = re.compile("(" + "|".join(map(re.escape, whole)) + ")")

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> LegacyLlamaTokenizer:
        """Reads `tokenizer.model` and, where they exist, its three JSON files from a folder.

        Raises:
            CheckpointError: If `tokenizer.model` is missing or a file is damaged.
        """
        folder = Path(folder)
        model_file = folder / SENTENCEPIECE_FILE
        if not model_file.is_file():
            raise CheckpointError(
                f"{folder} has no {SENTENCEPIECE_FILE}; copy the tokenizer files next to the "
                "weights."
            )
        return cls(
            model_file.read_bytes(),
            _read_json(folder / "added_tokens.json"),
            _read_json(folder / "special_tokens_map.json"),
            _read_json(folder / "tokenizer_config.json"),
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the four files that `from_pretrained` reads, sentencepiece's bit for bit."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SENTENCEPIECE_FILE).write_bytes(self._model_proto)
        config = {"tokenizer_class": "LlamaTokenizer", **self._tokenizer_config}
        for name, content in (
            ("added_tokens.json", self.added_tokens),
            ("special_tokens_map.json", self._special_tokens_map),
            ("tokenizer_config.json", config),
        ):
            text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
            (folder / name).write_text(text + "\n", encoding="utf-8")

    def __len__(self) -> int:
        """Number of ids, added tokens included."""
        return self.vocab_size

    @property
    def vocab_size(self) -> int:
        """Number of ids, added tokens included."""
        return max(int(self._pieces.get_piece_size()), *(i + 1 for i in self._added_by_id), 0)

    @property
    def model_max_length(self) -> int:
        """Longest sequence in tokens, as the tokenizer's configuration says."""
        return int(self._tokenizer_config.get("model_max_length", 2048))

    @property
    def bos_token_id(self) -> int:
        """Id that begins a sequence."""
        return self._id_of(self._special["bos_token"])

    @property
    def eos_token_id(self) -> int:
        """Id that ends an answer."""
        return self._id_of(self._special["eos_token"])

    @property
    def pad_token_id(self) -> int:
        """Id that fills a batch; the unknown token's, where the files name none, as LISA does."""
        return self._id_of(self._special["pad_token"])

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """Added and special tokens, and the picture's placeholder; longest first."""
        return tuple(sorted({*self._whole, IMAGE_TOKEN}, key=lambda token: (-len(token), token)))

    def convert_tokens_to_ids(self, token: str) -> int | None:
        """Returns the id of one token, or None if the vocabulary lacks it."""
        if token in self.added_tokens:
            return self.added_tokens[token]
        index = int(self._pieces.piece_to_id(token))
        if index == self._pieces.unk_id() and token != self._pieces.id_to_piece(index):
            return None
        return index

    def tokenize(self, text: str) -> list[str]:
        """Returns the tokens of a text as strings, without a begin token."""
        if not self.legacy:
            text = _WORD_START + text.replace(_WORD_START, " ")
        chunks = [chunk for chunk in self._cuts.split(text) if chunk]
        for index, chunk in enumerate(chunks):
            if chunk not in self._whole:
                continue
            spec = self._keeps_neighbours.get(chunk, {"lstrip": True, "rstrip": True})
            if spec.get("rstrip") and index + 1 < len(chunks):
                chunks[index + 1] = chunks[index + 1].lstrip()
            if spec.get("lstrip") and index > 0:
                chunks[index - 1] = chunks[index - 1].rstrip()
        tokens: list[str] = []
        for chunk in chunks:
            if chunk in self._whole:
                tokens.append(chunk)
            elif chunk:
                tokens.extend(self._encode_piece(chunk))
        return tokens

    def encode(self, text: str, add_bos: bool = True) -> list[int]:
        """Returns the ids of a text; control tokens in it are honoured.

        Args:
            text: Any text; a picture's placeholder is *not* known here (see `lisa.prompts`).
            add_bos: Whether the ids begin with the begin token.
        """
        unknown = int(self._pieces.unk_id())
        ids = [self.bos_token_id] if add_bos else []
        for token in self.tokenize(text):
            index = self.convert_tokens_to_ids(token)
            ids.append(unknown if index is None else index)
        return ids

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        """Returns the text of ids, with the blanks that transformers 4.31 put around added tokens.

        Args:
            ids: Token ids; those that name no token (a picture's placeholder) are left out.
            skip_special_tokens: Leave out begin, end, unknown and padding; `[SEG]` stays.
        """
        texts: list[str] = []
        words: list[str] = []
        for token in self._tokens_of(ids):
            if skip_special_tokens and token in self._special_contents:
                continue
            if token in self.added_tokens:
                if words:
                    texts.append(self._join(words))
                    words = []
                texts.append(token)
            else:
                words.append(token)
        if words:
            texts.append(self._join(words))
        return " ".join(texts)

    def _tokens_of(self, ids: Sequence[int]) -> list[str]:
        size = int(self._pieces.get_piece_size())
        tokens = []
        for index in map(int, ids):
            if index in self._added_by_id:
                tokens.append(self._added_by_id[index])
            elif 0 <= index < size:
                tokens.append(str(self._pieces.id_to_piece(index)))
        return tokens

    def _join(self, tokens: list[str]) -> str:
        """Joins pieces; special tokens get a blank before them, unless another one stands there."""
        text, words, after_special = "", list[str](), False
        for index, token in enumerate(tokens):
            if token not in self._special_contents:
                words.append(token)
                after_special = False
                continue
            if index and not after_special:
                text += " "
            text += str(self._pieces.decode_pieces(words)) + token
            words, after_special = [], True
        return text + str(self._pieces.decode_pieces(words))

    def _encode_piece(self, text: str) -> list[str]:
        if self.legacy:
            return list(self._pieces.encode(text, out_type=str))
        first = text.startswith(_WORD_START)
        text = text[1:] if first else text
        tokens = list(self._pieces.encode(text, out_type=str))
        if not first and not text.startswith(" ") and tokens and tokens[0].startswith(_WORD_START):
            tokens[:1] = [tokens[0][1:]] if len(tokens[0]) > 1 else []
        return tokens

    def _id_of(self, token: str) -> int:
        index = self.convert_tokens_to_ids(token)
        assert index is not None, "special tokens are checked on construction"
        return index


def _special_token_specs(
    special_tokens_map: Mapping[str, Any], tokenizer_config: Mapping[str, Any]
) -> dict[str, Any]:
    """Begin, end, unknown and padding: a mapping with strip rules, or a bare string.

    A name in `special_tokens_map.json` wins over `tokenizer_config.json`. transformers 4.31 drops
    the blanks around a special token given as a bare string in the former, not in the latter.
    """
    specs: dict[str, Any] = {}
    defaults = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": None}
    for name in _SPECIAL_NAMES:
        spec = special_tokens_map.get(name)
        if spec is None:
            spec = tokenizer_config.get(name) or defaults[name]
            if isinstance(spec, str) and name != "pad_token":
                spec = {"content": spec}
        specs[name] = spec
    specs["pad_token"] = specs["pad_token"] or _content(specs["unk_token"])
    return specs


def _content(spec: Any) -> str:
    return str(spec["content"] if isinstance(spec, Mapping) else spec)


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON; download it again.") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} does not hold a JSON object; download it again.")
    return content
