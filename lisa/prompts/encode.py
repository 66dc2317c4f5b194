"""Rendered conversations as token ids, for asking and for training."""

from __future__ import annotations

from typing import NamedTuple

from lisa.prompts.template import Template
from lisa.tokenization import TextTokenizer
from lisa.tokens import IGNORE_INDEX, IMAGE_END_TOKEN, IMAGE_START_TOKEN, IMAGE_TOKEN
from lisa.types import Conversation


class SupervisedIds(NamedTuple):
    """One conversation as a training example.

    Attributes:
        input_ids: Token ids, with one id for each picture.
        labels: The same ids inside answers, `IGNORE_INDEX` elsewhere; equally long.
    """

    input_ids: list[int]
    labels: list[int]


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
