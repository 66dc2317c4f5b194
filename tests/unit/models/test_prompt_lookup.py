from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache

from lisa.models import LisaModel, Reading
from lisa.models.prompt_lookup import can_drop_tokens, guess_next
from lisa.pipeline import LisaPipeline
from lisa.types import Conversation
from tests.tiny import picture, tiny_model, tiny_processor

IDS = st.lists(st.integers(0, 3), max_size=30)


@given(IDS, st.integers(-2, 6))
def test_guesses_stood_behind_the_last_id(ids: list[int], most: int) -> None:
    guesses = list(guess_next(ids, most))
    assert len(guesses) <= max(0, most)
    if guesses:
        places = range(1, len(ids))
        assert any(ids[i - 1] == ids[-1] and ids[i : i + len(guesses)] == guesses for i in places)
    else:
        assert most <= 0 or ids[-1:] == [] or ids[-1] not in ids[:-1]


def test_the_longest_match_wins_and_of_equal_ones_the_latest() -> None:
    assert list(guess_next([1, 2, 7, 9, 2, 8, 1, 2], 1)) == [7]
    assert list(guess_next([2, 7, 9, 2, 8, 3, 2], 2)) == [8, 3]


class Counter:
    """Counts passes of the language model and the positions in them."""

    def __init__(self, model: LisaModel) -> None:
        self.widths: list[int] = []
        model.backbone.base_model.register_forward_hook(
            lambda module, args, output: self.widths.append(output.last_hidden_state.shape[1])
        )


def dialogue(pipeline: LisaPipeline, **options: object) -> list[object]:
    """Three turns about one picture."""
    image, reading, conversation, said = pipeline.encode(picture(33, 50)), Reading(), None, []
    for question in ("Where is it?", "Where is it then?", "Where is it?"):
        conversation = (conversation or Conversation()).ask(question, None if said else 0)
        answer = pipeline.answer([image], [conversation], reading=reading, **options)[0]
        conversation = answer.conversation
        said.append((answer.text, list(reading.ids), [one.mask for one in answer.segments]))
    return said


def repetitive_model() -> LisaModel:
    """A model whose next word depends on the last one alone, so that it soon goes in circles."""
    model = tiny_model()
    for name, weight in model.backbone.model.language_model.named_parameters():
        if "o_proj" in name or "down_proj" in name:
            torch.nn.init.zeros_(weight)
    return model


@pytest.mark.parametrize("build", [tiny_model, repetitive_model])
@pytest.mark.parametrize("tokens", [1, 2, 5, 30])
def test_the_answer_is_as_without_guesses_in_fewer_passes(build, tokens: int) -> None:
    model = build()
    pipeline, passes = LisaPipeline(model, tiny_processor()), Counter(model)
    guessing = dialogue(pipeline, max_new_tokens=tokens)
    some = len(passes.widths)
    model.lookup_tokens = 0
    one_by_one = dialogue(pipeline, max_new_tokens=tokens)
    assert str(guessing) == str(one_by_one)
    assert some <= len(passes.widths) - some
    if tokens == 30 and build is repetitive_model:
        assert some < 0.8 * (len(passes.widths) - some)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 40), st.integers(1, 12))
def test_a_stopped_answer_ends_where_it_was_stopped(fewest: int, stop: int) -> None:
    model = repetitive_model()
    pipeline = LisaPipeline(model, tiny_processor())
    image, asked = pipeline.encode(picture(33, 50)), Conversation().ask("Where?", 0)
    lengths = []
    for guesses in (5, 0):
        model.lookup_tokens = guesses
        seen: list[str] = []

        def watch(row: int, text: str, seen: list[str] = seen) -> bool:
            seen.append(text)
            return len(seen) < stop

        reading = Reading()
        answer = pipeline.answer(
            [image],
            [asked],
            max_new_tokens=20,
            min_new_tokens=min(fewest, 20),
            reading=reading,
            watch=watch,
        )[0]
        lengths.append((answer.text, answer.new_tokens, seen, reading.ids))
    assert lengths[0] == lengths[1]


def test_options_of_their_own_and_batches_are_left_to_transformers() -> None:
    model = tiny_model()
    pipeline, passes = LisaPipeline(model, tiny_processor()), Counter(model)
    image, asked = pipeline.encode(picture(33, 50)), Conversation().ask("Where?", 0)
    pipeline.answer([image], [asked] * 2, [0, 0], max_new_tokens=12, min_new_tokens=12)
    assert len(passes.widths) == 12
    passes.widths.clear()
    ids, mask = pipeline.processor.pad([pipeline._prompt(asked, image.original_size)])
    model.generate(
        ids, mask, [image], max_new_tokens=12, min_new_tokens=12, repetition_penalty=1.0001
    )
    assert len(passes.widths) == 12


def test_a_cache_that_loses_tokens_takes_no_guesses() -> None:
    config = tiny_model().config.backbone.get_text_config()
    assert can_drop_tokens(DynamicCache(config=config))
    windows = type(config)(**{**config.to_dict(), "num_hidden_layers": 2})
    windows.sliding_window, windows.layer_types = 4, ["full_attention", "sliding_attention"]
    assert not can_drop_tokens(DynamicCache(config=windows))
