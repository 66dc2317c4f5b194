"""Words of one's own as tags: their text embeddings, as the tagging models were trained with.

A word is put into sentences (templates), CLIP encodes them, and their mean stands for the word
(Radford et al. 2021, arXiv 2103.00020, section 3.1.4). A template holds `{}` for the word and may
hold `{article}` for "a" or "an".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lisa.devices import choose_device, choose_dtype
from lisa.errors import CheckpointError, ConfigError
from lisa.hub import resolve
from lisa.tagging.tags import NameList, read_names

DEFAULT_TEMPLATES = (
    "There is {article} {} in the scene.",
    "a photo of {article} {}.",
    "a painting of {article} {}.",
    "a close picture of {article} {}.",
    "{article} {} seen from far away.",
)
"""A few sentences of our own. Published scores were measured with the 63 of the original project;
to repeat them, give that list."""

_BATCH = 256


class TextEncoder:
    """CLIP's text encoder."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model.eval()
        self._tokenizer = tokenizer

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        revision: str | None = None,
        offline: bool = False,
    ) -> TextEncoder:
        """Loads the text half of a CLIP model, such as "openai/clip-vit-base-patch16".

        Args:
            name_or_path: Folder or hub id, in the layout of transformers.
            device: As `lisa.devices.choose_device` takes it.
            dtype: As `lisa.devices.choose_dtype` takes it.
            revision: Branch, tag or commit on the hub.
            offline: Use only what was downloaded before.

        Raises:
            CheckpointError: If there is no such model, or it is no CLIP.
        """
        from transformers import AutoTokenizer, CLIPTextModelWithProjection

        folder = resolve(name_or_path, revision, offline)
        chosen = choose_device(device)
        try:
            loaded: Any = CLIPTextModelWithProjection.from_pretrained(
                folder, dtype=choose_dtype(dtype, chosen), output_loading_info=True
            )
            model, report = loaded
            tokenizer = AutoTokenizer.from_pretrained(folder)
        except (OSError, ValueError, KeyError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise CheckpointError(
                f"{name_or_path} holds no CLIP text encoder ({reason}): give a folder or hub id "
                "such as openai/clip-vit-base-patch16."
            ) from error
        if report["missing_keys"]:
            raise CheckpointError(
                f"{name_or_path} lacks weights of a CLIP text encoder "
                f"({', '.join(sorted(report['missing_keys'])[:3])}): give a complete CLIP."
            )
        return cls(model.to(chosen), tokenizer)

    @property
    def width(self) -> int:
        """Numbers that stand for a text."""
        return int(self._model.config.projection_dim)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Returns one embedding of length 1 per text, float32 (N, E) on the CPU.

        A text that is too long is cut.
        """
        limit = int(self._model.config.max_position_embeddings)
        parts = []
        for start in range(0, len(texts), _BATCH):
            inputs = self._tokenizer(
                list(texts[start : start + _BATCH]),
                padding=True,
                truncation=True,
                max_length=limit,
                return_tensors="pt",
            )
            states = self._model(
                input_ids=inputs["input_ids"].to(self._model.device),
                attention_mask=inputs["attention_mask"].to(self._model.device),
            ).text_embeds
            parts.append(F.normalize(states.float(), dim=-1).cpu())
        return torch.cat(parts) if parts else torch.zeros(0, self.width)


def sentence(word: str, template: str) -> str:
    """Puts a word into a template by the rules of the published tagging models.

    The word is lower-cased, underscores become blanks and slashes become "or", full stops at its
    end go; a text that begins with "a" or "the" gets "This is" in front.
    """
    name = word.lower().replace("_", " ").replace("/", " or ").rstrip(".")
    article = "an" if name[:1] in tuple("aeiou") else "a"
    # Not str.format: a word or a template may hold braces of its own.
    text = template.replace("{article}", article).replace("{}", name)
    return f"This is {text}" if text.startswith(("a", "the")) else text


def ensemble(
    words: Sequence[str],
    encoder: TextEncoder,
    templates: NameList | None = None,
    *,
    average: bool = True,
) -> Tensor:
    """Returns what stands for words.

    Args:
        words: C words.
        encoder: Encodes sentences.
        templates: K sentences with `{}`, or a text file with one a line; None takes
            `DEFAULT_TEMPLATES`.
        average: Average the sentences of a word, and bring the mean to length 1.

    Returns:
        (C, 1, E), or (C, K, E) if they are not averaged.

    Raises:
        CheckpointError: If the file cannot be read.
        ConfigError: If a template has no place for the word.
    """
    chosen = DEFAULT_TEMPLATES if templates is None else read_names(templates)
    wrong = [template for template in chosen if "{}" not in template]
    if wrong or not chosen:
        raise ConfigError(
            f"the template {wrong[0]!r} has no {{}} where the word goes: add it."
            if wrong
            else "the list of templates is empty: leave it out, or give one with {}."
        )
    texts = [sentence(word, template) for word in words for template in chosen]
    return _averaged(encoder.encode(texts).unflatten(0, (len(words), -1)), average)


def _averaged(embeddings: Tensor, average: bool) -> Tensor:
    """Returns (C, K, E) as it is, or as (C, 1, E) of length 1."""
    if not average:
        return embeddings
    return F.normalize(embeddings.mean(dim=1, keepdim=True), dim=-1)


def describe_words(
    descriptions: str | Path | Sequence[dict[str, Sequence[str]]],
    encoder: TextEncoder,
    *,
    average: bool,
) -> tuple[list[str], tuple[Tensor, ...]]:
    """Returns words and what stands for them, from sentences that describe them.

    Args:
        descriptions: A JSON file, or what it holds: a list of {word: [sentence, ...]}.
        encoder: Encodes the sentences.
        average: As `ensemble` takes it.

    Returns:
        The C words, and blocks (C_i, K_i, E) in the same order.

    Raises:
        CheckpointError: If the file cannot be read.
        ConfigError: If it holds something else.
    """
    described = _read_descriptions(descriptions)
    names = own_words([word for word, _ in described])
    blocks = []
    for count, group in groupby(described, key=lambda pair: len(pair[1])):
        texts = [text for _, sentences in group for text in sentences]
        blocks.append(_averaged(encoder.encode(texts).unflatten(0, (-1, count)), average))
    return list(names), tuple(blocks)


def _read_descriptions(
    descriptions: str | Path | Sequence[dict[str, Sequence[str]]],
) -> list[tuple[str, list[str]]]:
    content: Any = descriptions
    if isinstance(descriptions, str | Path):
        try:
            content = json.loads(Path(descriptions).expanduser().read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{descriptions} cannot be read as JSON ({error}).") from error
    parts = [content] if isinstance(content, dict) else content
    if not isinstance(parts, list | tuple) or not all(isinstance(part, dict) for part in parts):
        raise ConfigError(
            "descriptions must be a JSON list of {word: [sentence, ...]}: correct it."
        )
    described = [(str(word), sentences) for part in parts for word, sentences in part.items()]
    for word, sentences in described:
        if (
            not isinstance(sentences, list | tuple)
            or not sentences
            or not all(isinstance(text, str) for text in sentences)
        ):
            raise ConfigError(f"the description of {word!r} must be a list of sentences.")
    return [(word, list(sentences)) for word, sentences in described]


def own_words(words: NameList) -> tuple[str, ...]:
    """Returns words of one's own, without empty ones.

    Args:
        words: The words, or a text file with one a line.

    Raises:
        CheckpointError: If the file cannot be read.
        ConfigError: If there is none, or one is there twice.
    """
    names = tuple(name for word in read_names(words) if (name := word.strip()))
    if not names:
        raise ConfigError("there is no word to look for: give one a line.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"the word {twice[0]!r} is there twice: leave one out.")
    return names
