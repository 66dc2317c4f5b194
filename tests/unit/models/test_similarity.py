from __future__ import annotations

import pytest
import torch

from lisa.errors import ConfigError
from lisa.models import SegmenterFeatures
from lisa.models.prompt_heads import build_prompt_head

WIDTH, DIM, GRID = 12, 8, (4, 6)


def made(seed: int = 0):
    torch.manual_seed(seed)
    head = build_prompt_head("similarity", WIDTH, DIM, GRID)
    features = SegmenterFeatures(torch.randn(2, DIM, *GRID))
    return head, torch.randn(3, WIDTH), torch.randn(3, DIM), features


def test_shapes_and_the_embedding_as_sparse_prompt() -> None:
    head, states, embeddings, features = made()
    prompts, logits = head(states, embeddings, features, torch.tensor([0, 1, 1]))
    assert torch.equal(prompts.sparse, embeddings.unsqueeze(1))
    assert prompts.dense.shape == (3, DIM, *GRID)
    assert logits.shape == (3, 1, *GRID)
    prompts.check(3, DIM, GRID)


def test_each_state_is_compared_with_its_own_picture() -> None:
    head, states, embeddings, features = made()
    index = torch.tensor([1, 0, 1])
    prompts, logits = head(states, embeddings, features, index)
    for row, picture in enumerate(index.tolist()):
        alone_prompts, alone = head(
            states[row : row + 1],
            embeddings[row : row + 1],
            features.select(torch.tensor([picture])),
            torch.tensor([0]),
        )
        torch.testing.assert_close(alone[0], logits[row])
        torch.testing.assert_close(alone_prompts.dense[0], prompts.dense[row])
    other = head(states, embeddings, features, torch.tensor([0, 0, 1]))[1]
    assert not torch.allclose(other[0], logits[0])
    torch.testing.assert_close(other[1:], logits[1:])


def test_a_fresh_map_stays_in_its_range() -> None:
    """Scaled cosines: between -10 and 10, moved down by 2."""
    head, states, embeddings, features = made()
    logits = head(states, embeddings, features, torch.tensor([0, 1, 0]))[1]
    assert logits.min() >= -12
    assert logits.max() <= 8


def test_every_weight_learns_from_the_prompts() -> None:
    head, states, embeddings, features = made()
    prompts, logits = head(states, embeddings, features, torch.tensor([0, 1, 1]))
    (prompts.dense.square().sum() + logits.sum()).backward()
    without = [name for name, p in head.named_parameters() if p.grad is None]
    assert not without


def test_unknown_heads_get_a_sentence() -> None:
    with pytest.raises(ConfigError, match="choose one of similarity, sparse"):
        build_prompt_head("none", WIDTH, DIM, GRID)
