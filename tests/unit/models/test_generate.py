from __future__ import annotations

import pytest
import torch

from lisa.errors import ConfigError
from lisa.types import Conversation
from tests.tiny import SEG_ID, emit, picture, tiny_model, tiny_processor

SIZES = [(33, 50), (64, 20), (7, 90)]
END = 1


def prepared(**options):
    model, processor = tiny_model(**options), tiny_processor()
    inputs = processor.encode_images([picture(*size, seed=i) for i, size in enumerate(SIZES)])
    images = model.encode_images(
        inputs.pixel_values,
        inputs.sam_pixel_values,
        original_sizes=inputs.original_sizes,
        resized_sizes=inputs.resized_sizes,
    )
    return model, processor, images


def prompt(processor, question: str) -> list[int]:
    return processor.encode_conversation(Conversation().ask(question, image_index=0))


@pytest.mark.parametrize("rule", ["previous", "self"])
@pytest.mark.parametrize("ended", [True, False])
def test_cached_states_equal_a_teacher_forced_pass(rule: str, ended: bool) -> None:
    """Also where generation stops right at [SEG], whose own state does not exist yet."""
    model, processor, images = prepared(seg_state=rule)
    answer = [40, SEG_ID, 41, SEG_ID, *([END] if ended else [])]
    ids = torch.tensor([prompt(processor, "Where?")])
    whole = torch.cat([ids, torch.tensor([answer])], dim=1)
    forced = model(whole, images=images[:1])
    emit(model, [answer])
    output = model.generate(ids, images=images[:1], max_new_tokens=len(answer))
    assert output.token_ids[0].tolist() == answer
    assert torch.equal(output.seg_positions, forced.seg_positions)
    torch.testing.assert_close(output.seg_states, forced.seg_states, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(output.mask_logits[0], forced.mask_logits[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rule", ["previous", "self"])
def test_a_batch_gives_what_single_questions_give(rule: str) -> None:
    model, processor, images = prepared(seg_state=rule)
    questions = ["Where is it?", "Which of all these things would I take for a walk?", "And?"]
    answers = [[40, SEG_ID, END], [41, 42, SEG_ID, 43, SEG_ID], [44, END]]
    ids, mask = processor.pad([prompt(processor, q) for q in questions])
    emit(model, answers)
    together = model.generate(ids, mask, images, max_new_tokens=5)
    assert [ids.tolist() for ids in together.token_ids] == answers
    for row, answer in enumerate(answers):
        emit(model, [answer])
        alone = model.generate(
            torch.tensor([prompt(processor, questions[row])]),
            images=[images[row]],
            max_new_tokens=5,
        )
        assert alone.token_ids[0].tolist() == answer
        torch.testing.assert_close(
            alone.mask_logits[0], together.mask_logits[row], atol=1e-4, rtol=1e-4
        )
        places = together.seg_positions[together.seg_positions[:, 0] == row, 1]
        assert places.tolist() == alone.seg_positions[:, 1].tolist()


def test_words_do_not_depend_on_the_batch() -> None:
    """Free greedy decoding, with padding on either side."""
    model, processor, images = prepared()
    rows = [prompt(processor, "Where?"), prompt(processor, "What is behind the two of them?")]
    ids, mask = processor.pad(rows)
    together = model.generate(ids, mask, images[:2], max_new_tokens=8)
    width = ids.shape[1]
    right = torch.tensor([row + [2] * (width - len(row)) for row in rows])
    right_mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    padded_right = model.generate(right, right_mask, images[:2], max_new_tokens=8)
    for row, prompt_ids in enumerate(rows):
        alone = model.generate(torch.tensor([prompt_ids]), images=[images[row]], max_new_tokens=8)
        expected = alone.token_ids[0].tolist()
        assert together.token_ids[row].tolist() == expected
        assert padded_right.token_ids[row].tolist() == expected
        torch.testing.assert_close(
            alone.token_probabilities[0], together.token_probabilities[row], atol=1e-4, rtol=1e-4
        )


def test_probabilities_are_those_of_the_chosen_tokens() -> None:
    model, processor, images = prepared()
    ids = torch.tensor([prompt(processor, "Where?")])
    output = model.generate(ids, images=images[:1], max_new_tokens=4)
    whole = torch.cat([ids, output.token_ids[0][None]], dim=1)
    logits = model(whole, images=images[:1]).logits[0, ids.shape[1] - 1 : -1]
    expected = logits.softmax(-1).gather(1, output.token_ids[0][:, None])[:, 0]
    torch.testing.assert_close(output.token_probabilities[0], expected, atol=1e-4, rtol=1e-4)


def test_the_segmenter_runs_only_where_something_is_shown(monkeypatch) -> None:
    model, processor, images = prepared()
    runs: list[int] = []
    encode = model.segmenter.encode
    monkeypatch.setattr(model.segmenter, "encode", lambda x: runs.append(len(x)) or encode(x))
    ids, mask = processor.pad([prompt(processor, q) for q in ("a?", "bb?", "c?")])
    emit(model, [[40, END]] * 3)
    silent = model.generate(ids, mask, images, max_new_tokens=3)
    assert silent.masks is None
    assert not runs
    assert [m.shape for m in silent.mask_logits] == [(0, *size) for size in SIZES]
    emit(model, [[40, END], [SEG_ID, END], [40, END]])
    shown = model.generate(ids, mask, images, max_new_tokens=3)
    assert runs == [1]
    emit(model, [[40, END], [SEG_ID, END], [40, END]])
    model.generate(ids, mask, shown.images, max_new_tokens=3)
    assert runs == [1]


def test_sampling_and_what_cannot_be() -> None:
    model, processor, images = prepared()
    ids = torch.tensor([prompt(processor, "Where?")])
    torch.manual_seed(0)
    sampled = model.generate(ids, images=images[:1], max_new_tokens=4, do_sample=True, top_k=5)
    assert len(sampled.token_ids[0]) == len(sampled.token_probabilities[0])
    with pytest.raises(ConfigError, match="leave num_beams at 1"):
        model.generate(ids, images=images[:1], num_beams=2)
    with pytest.raises(ConfigError, match="ask for at least 1 token"):
        model.generate(ids, images=images[:1], max_new_tokens=0)
