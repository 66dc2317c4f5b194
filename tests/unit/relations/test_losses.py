from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lisa.errors import DataError
from lisa.relations import predicate_losses, relation_loss
from lisa.relations.losses import label_of


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_the_formula(seed: int):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(7, generator=generator).double()
    target = torch.rand(7, generator=generator).double()
    # Some labels are soft, and some are not.
    target = torch.where(target < 0.4, 0.0, torch.where(target > 0.7, 1.0, target))
    wrong = sum(float((1 - t) * s.exp()) for s, t in zip(scores, target, strict=True))
    right = sum(float(t * (-s).exp()) for s, t in zip(scores, target, strict=True))
    expected = torch.tensor(1 + wrong).log() + torch.tensor(1 + right).log()
    assert float(predicate_losses(scores, target)) == pytest.approx(float(expected), abs=1e-5)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_scores_rest_where_they_meet_their_labels(seed: int):
    scores = torch.randn(3, 9, generator=torch.Generator().manual_seed(seed)).double()
    labels = label_of(scores)
    scores.requires_grad_()
    predicate_losses(scores, labels).sum().backward()
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad, torch.zeros_like(scores), atol=1e-12, rtol=0)


def test_padding_changes_nothing():
    torch.manual_seed(0)
    scores, target = torch.randn(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    target[:, 1, 0, 2] = 1
    padded = torch.full((2, 3, 6, 6), 50.0)
    padded[:, :, :4, :4] = scores
    more = torch.zeros(2, 3, 6, 6)
    more[:, :, :4, :4] = target
    is_mask = torch.tensor([[True] * 4 + [False] * 2] * 2)
    torch.testing.assert_close(relation_loss(padded, more, is_mask), relation_loss(scores, target))


def test_perfect_scores_cost_nothing_and_give_no_nan():
    target = torch.zeros(1, 2, 3, 3)
    target[0, 0, 1, 2] = 1
    scores = (400 * (target - 0.5)).requires_grad_()
    loss = relation_loss(scores, target)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize(
    ("scores", "target"),
    [((1, 2, 3, 3), (1, 2, 3, 4)), ((1, 2, 0, 0), (1, 2, 0, 0)), ((0, 2, 3, 3), (0, 2, 3, 3))],
)
def test_nothing_to_compare(scores: tuple[int, ...], target: tuple[int, ...]):
    with pytest.raises(DataError, match="none of them 0"):
        relation_loss(torch.zeros(scores), torch.zeros(target))
