from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lisa.tagging import asymmetric_loss


def test_without_weights_it_is_cross_entropy():
    torch.manual_seed(0)
    logits, targets = torch.randn(4, 9) * 3, (torch.rand(4, 9) < 0.3).float()
    loss = asymmetric_loss(logits, targets, gamma_negative=0, clip=0)
    expected = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    torch.testing.assert_close(loss, expected)


def test_tags_that_are_surely_absent_cost_nothing():
    logits = torch.tensor([[-3.1, -8.0]], requires_grad=True)  # below 5 % each
    loss = asymmetric_loss(logits, torch.zeros(1, 2))
    assert loss.item() == 0
    loss.backward()
    assert logits.grad is not None and logits.grad.abs().max() == 0


@pytest.mark.parametrize("through", [False, True])
def test_the_weights_learn_only_on_request(through: bool):
    logits = torch.tensor([[1.5]], dtype=torch.float64, requires_grad=True)
    loss = asymmetric_loss(
        logits, torch.zeros(1, 1), gamma_negative=2, clip=0, gradient_through_weights=through
    )
    loss.backward()
    p = torch.sigmoid(torch.tensor(1.5, dtype=torch.float64))
    # loss = -p^2 log(1 - p), d p / d logit = p (1 - p)
    fixed = p**2 * p
    moving = fixed - 2 * p * torch.log(1 - p) * p * (1 - p)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[0, 0], moving if through else fixed)
