"""Greedy decoding that reads guessed tokens along: prompt lookup decoding (Saxena 2023).

Answers repeat what stands in the conversation: the pattern of the answer before, the format of a
call, what a tool observed. So the tokens that once followed the last ones are guessed to follow
again, and are read in one pass with the next token. As the weights come from memory once a pass, a
few tokens take no longer than one. Guesses that the model would have chosen itself stay; from the
first other one on they are dropped, so the answer is the same as without them, but for the rounding
of sums whose order depends on the number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor
from transformers import (
    DynamicCache,
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteriaList,
)
from transformers.cache_utils import DynamicLayer

from lisa.models.language_inputs import LanguageInputs, with_following

LOOKUP_TOKENS = 5
"""Most guesses a pass: six rows are as fast as one on the processors that were measured."""

_LONGEST_MATCH = 4
_PICTURE = -1


class PromptLookup:
    """Answers one prompt, in the place of transformers' own loop (`custom_generate`).

    Attributes:
        taken: Per pass, how many of the answer's tokens it gave.
    """

    def __init__(self, prompt: LanguageInputs, most: int) -> None:
        """Prepare for one answer.

        Args:
            prompt: One row, without padding.
            most: Most guesses a pass.
        """
        self._prompt, self._most = prompt, most
        # Pictures are no words to be said.
        self._ids: list[int] = prompt.ids[0].masked_fill(prompt.shows_picture[0], _PICTURE).tolist()
        self.taken: list[int] = []

    def __call__(
        self,
        model: PreTrainedModel,
        input_ids: Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        **given: Any,
    ) -> Tensor:
        """Answer greedily.

        Args:
            model: That answers.
            input_ids: (1, 0) long: prompts are given as embeddings.
            logits_processor: What transformers' `generate` has prepared of its options.
            stopping_criteria: The same.
            generation_config: The same.
            **given: The same; of it only the cache is used.

        Returns:
            (1, K) the new tokens.
        """
        cache: DynamicCache = given["past_key_values"]
        unread = self._prompt.embeddings[:, cache.get_seq_length() :]
        logits = self._read(model, unread, cache, logits_to_keep=1)
        new_ids, guesses = input_ids, list[int]()
        while True:
            before, done = new_ids.shape[1], False
            for scores, guess in zip(logits.split(1), [*guesses, None], strict=True):
                scores = logits_processor(new_ids, scores)  # type: ignore[arg-type]
                token = scores.argmax(dim=-1, keepdim=True)
                new_ids = torch.cat([new_ids, token], dim=1)
                done = bool(stopping_criteria(new_ids, scores).all())
                if done or token.item() != guess:
                    break
            taken = new_ids.shape[1] - before
            self.taken.append(taken)
            cache.crop(taken - 1 - len(guesses))
            if done:
                return new_ids
            room = (generation_config.max_length or 0) - new_ids.shape[1] - 1
            guesses = self._guess(new_ids, min(self._most, room))
            following = torch.tensor([[new_ids[0, -1], *guesses]], device=new_ids.device)
            logits = self._read(model, model.get_input_embeddings()(following), cache)

    def _read(
        self, model: PreTrainedModel, embeddings: Tensor, cache: DynamicCache, **options: Any
    ) -> Tensor:
        """Read T tokens behind those that the cache holds; return their logits (T, V)."""
        positions = self._prompt.position_ids
        if positions is not None:
            known = cache.get_seq_length()
            new = known + embeddings.shape[1] - positions.shape[-1]
            positions = with_following(positions, new)[..., known:]
        output = model(
            inputs_embeds=embeddings,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            return_dict=True,
            **options,
        )
        logits: Tensor = output.logits[0].float()
        return logits

    def _guess(self, new_ids: Tensor, most: int) -> list[int]:
        guesses = guess_next([*self._ids, *new_ids[0].tolist()], most)
        return list(takewhile(lambda one: one != _PICTURE, guesses))


def guess_next(ids: Sequence[int], most: int) -> Sequence[int]:
    """Guess what follows ids: what followed their end where it stood before.

    Args:
        ids: All so far.
        most: Most ids to guess.

    Returns:
        None to `most` ids behind the place that agrees with the end for longest; of equal ones,
        the latest.
    """
    best, longest = None, 0
    for end in range(len(ids) - 1, 0, -1):
        if ids[end - 1] != ids[-1]:
            continue
        length = 1
        while length < min(end, _LONGEST_MATCH) and ids[end - 1 - length] == ids[-1 - length]:
            length += 1
        if length > longest:
            best, longest = end, length
        if longest == _LONGEST_MATCH:
            break
    return () if best is None else ids[best : best + max(0, most)]


def can_drop_tokens(cache: DynamicCache) -> bool:
    """Tell whether a cache keeps every token by itself, so that wrong guesses can be dropped."""
    return all(type(layer) is DynamicLayer for layer in cache.layers)
