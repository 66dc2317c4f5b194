"""Greedy or sampled answers with a KV cache; the states that become mask prompts on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from transformers import (
    DynamicCache,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)

from lisa.errors import ConfigError
from lisa.models.backbone import last_states
from lisa.models.language_inputs import LanguageInputs, deep_features, with_following
from lisa.models.prompt_lookup import PromptLookup, can_drop_tokens


@dataclass(frozen=True, eq=False)
class Answers:
    """New tokens of N conversations; rows that ended early go on with padding.

    Attributes:
        token_ids: (N, K).
        lengths: New tokens per row up to and including the end token.
        states: (N, K, D) the state, after the final norm, that predicted each token.
        probabilities: (N, K) of each token at its step.
    """

    token_ids: Tensor
    lengths: list[int]
    states: Tensor
    probabilities: Tensor


Watch = Callable[[Tensor], list[bool]]
"""Gets the new tokens so far, (N, k), after each step; says for each row whether it goes on."""


class _Watcher(StoppingCriteria):
    """Shows the new tokens to somebody, who may stop rows, and notes where they were stopped."""

    def __init__(self, watch: Watch, rows: int) -> None:
        self._watch = watch
        self.stopped: list[int | None] = [None] * rows

    def __call__(
        self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **_: Any
    ) -> torch.BoolTensor:
        goes_on = self._watch(input_ids)
        for row, more in enumerate(goes_on):
            if not more and self.stopped[row] is None:
                self.stopped[row] = input_ids.shape[1]
        done = [place is not None for place in self.stopped]
        return cast(torch.BoolTensor, torch.tensor(done, device=input_ids.device))


class _ProbabilityRecorder(LogitsProcessor):
    """Notes how probable each chosen token was, holding one step's distribution at a time."""

    def __init__(self) -> None:
        self._pending: Tensor | None = None
        self._chosen: list[Tensor] = []

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        if self._pending is not None:
            self._settle(input_ids[:, -1])
        self._pending = scores.float().softmax(dim=-1)
        return scores

    def finish(self, token_ids: Tensor) -> Tensor:
        """Return (N, K) for all tokens; call once, after the last step."""
        self._settle(token_ids[:, -1])
        return torch.stack(self._chosen, dim=1)

    def _settle(self, chosen: Tensor) -> None:
        assert self._pending is not None
        index = chosen.to(self._pending.device).unsqueeze(1)
        self._chosen.append(self._pending.gather(1, index).squeeze(1))


def left_pad(input_ids: Tensor, attention_mask: Tensor, pad_id: int) -> tuple[Tensor, Tensor]:
    """Move all padding of (N, T) rows to the left, and drop columns that are padding everywhere.

    Returns:
        Ids and bool mask, both (N, T').
    """
    kept = attention_mask.bool()
    width = int(kept.sum(dim=1).max())
    ids = input_ids.new_full((input_ids.shape[0], width), pad_id)
    mask = torch.zeros_like(ids, dtype=torch.bool)
    for row, keep in enumerate(kept):
        tokens = input_ids[row][keep]
        ids[row, width - len(tokens) :] = tokens
        mask[row, width - len(tokens) :] = True
    return ids, mask


def answer(
    backbone: PreTrainedModel,
    prompt: LanguageInputs,
    attention_mask: Tensor,
    *,
    max_new_tokens: int,
    eos_token_id: int | list[int] | None,
    pad_token_id: int,
    options: dict[str, Any],
    lookup_tokens: int = 0,
    cache: DynamicCache | None = None,
    watch: Watch | None = None,
) -> Answers:
    """Let the language model answer.

    Args:
        backbone: An image-text-to-text model.
        prompt: Left-padded prompts.
        attention_mask: (N, T) bool.
        max_new_tokens: Most tokens of an answer; at least 1.
        eos_token_id: Id or ids that end an answer; None only stops at `max_new_tokens`.
        pad_token_id: Id that fills rows which ended early.
        options: Further arguments of transformers' `generate`, such as `do_sample` and
            `temperature`.
        lookup_tokens: Most tokens that are guessed from the conversation and read along in a pass;
            where there are several prompts, or options of their own, nothing is guessed.
        cache: Keys and values of the beginning of the only prompt; it grows by all that is read.
        watch: Sees the new tokens after each step and may stop rows.

    Raises:
        ConfigError: If `max_new_tokens` is below 1 or the options ask for beams, whose states
            cannot be followed.
    """
    if max_new_tokens < 1:
        raise ConfigError(f"max_new_tokens is {max_new_tokens}: ask for at least 1 token.")
    if options.get("num_beams", 1) != 1 or options.get("num_return_sequences", 1) != 1:
        raise ConfigError("Masks need one answer per question: leave num_beams at 1.")
    recorder = _ProbabilityRecorder()
    processors = LogitsProcessorList([*options.pop("logits_processor", []), recorder])
    sampling = {"do_sample": False, **options}
    if not sampling["do_sample"]:
        # A checkpoint's own generation settings may hold sampling values, which greedy decoding
        # ignores.
        sampling.update(temperature=None, top_p=None, top_k=None)
    if prompt.position_ids is not None:
        # Each new token stands one position behind the last; a picture's end decides where.
        sampling["position_ids"] = prompt.position_ids
    watcher = None if watch is None else _Watcher(watch, len(attention_mask))
    if watcher is not None:
        sampling["stopping_criteria"] = StoppingCriteriaList([watcher])
    lookup = None
    if lookup_tokens > 0 and len(attention_mask) == 1 and options.keys() <= {"min_new_tokens"}:
        cache = DynamicCache(config=backbone.config.get_text_config()) if cache is None else cache
        if can_drop_tokens(cache):
            sampling["custom_generate"] = lookup = PromptLookup(prompt, lookup_tokens)
    if cache is not None:
        sampling["past_key_values"] = cache
    with last_states(backbone) as steps, deep_features(backbone, prompt):
        token_ids = cast(Callable[..., Tensor], backbone.generate)(
            # All of the prompt; what the cache holds is cut off its beginning.
            inputs_embeds=prompt.embeddings,
            attention_mask=attention_mask.long(),
            max_new_tokens=max_new_tokens,
            eos_token_id=eos_token_id,
            pad_token_id=pad_token_id,
            use_cache=True,
            logits_processor=processors,
            **sampling,
        )
    taken = [1] * len(steps) if lookup is None else lookup.taken
    # The first pass reads the prompt, of which the last state chooses a token.
    steps[0] = steps[0][:, -1:]
    states = torch.cat([step[:, :n] for step, n in zip(steps, taken, strict=True)], dim=1)
    lengths = _lengths(token_ids, eos_token_id)
    if watcher is not None:
        lengths = [
            min(length, length if stop is None else stop)
            for length, stop in zip(lengths, watcher.stopped, strict=True)
        ]
    return Answers(token_ids, lengths, states, recorder.finish(token_ids))


def seg_states(
    backbone: PreTrainedModel,
    answers: Answers,
    prompt: LanguageInputs,
    prompt_mask: Tensor,
    seg_token_id: int,
    offset: int,
) -> tuple[Tensor, Tensor]:
    """Find the states behind the `[SEG]` tokens of the answers.

    Args:
        backbone: The model that answered.
        answers: Its answers.
        prompt: The left-padded prompts.
        prompt_mask: (N, T) bool.
        seg_token_id: Id of `[SEG]`.
        offset: How many positions before `[SEG]` its state lies: 1 or 0.

    Returns:
        (S, 2) conversation and position, counted without padding; and the states (S, D).
    """
    ids, device = answers.token_ids, answers.token_ids.device
    lengths = torch.tensor(answers.lengths, device=device).unsqueeze(1)
    spoken = torch.arange(ids.shape[1], device=device) < lengths
    emitted = ((ids == seg_token_id) & spoken).nonzero()
    states = answers.states
    if not offset and len(emitted):
        # The state of a token exists one step after the one that chose it, so the last token has
        # none yet.
        last = _state_after(backbone, ids, prompt, prompt_mask)
        states = torch.cat([states[:, 1:], last.unsqueeze(1)], dim=1)
    place = prompt_mask.sum(dim=1)[emitted[:, 0]] + emitted[:, 1] - offset
    return torch.stack([emitted[:, 0], place], dim=1), states[emitted[:, 0], emitted[:, 1]]


def _state_after(
    backbone: PreTrainedModel, token_ids: Tensor, prompt: LanguageInputs, prompt_mask: Tensor
) -> Tensor:
    """Return the state (N, D) of the last new token by one more pass over the whole sequence."""
    new = backbone.get_input_embeddings()(token_ids)
    mask = torch.cat([prompt_mask, torch.ones_like(token_ids, dtype=torch.bool)], dim=1)
    begun = prompt.position_ids
    if begun is None:
        begun = (prompt_mask.long().cumsum(dim=1) - 1).clamp(min=0)
    with last_states(backbone) as steps, deep_features(backbone, prompt):
        backbone(
            inputs_embeds=torch.cat([prompt.embeddings, new], dim=1),
            attention_mask=mask.long(),
            position_ids=with_following(begun, token_ids.shape[1]),
            use_cache=False,
            logits_to_keep=1,
        )
    return steps[-1][:, -1]


def _lengths(token_ids: Tensor, eos_token_id: int | list[int] | None) -> list[int]:
    ends = eos_token_id if isinstance(eos_token_id, list) else [eos_token_id]
    lengths = []
    for row in token_ids.tolist():
        stop = next((index for index, token in enumerate(row) if token in ends), len(row) - 1)
        lengths.append(stop + 1)
    return lengths
