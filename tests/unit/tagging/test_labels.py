from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from lisa.tagging.labels import Labels


def blocks_of(counts: list[tuple[int, int]]) -> Labels:
    """Blocks in which every embedding says its tag and its text."""
    blocks, first = [], 0
    for tags, texts in counts:
        numbers = torch.arange(first, first + tags).view(-1, 1) * 100 + torch.arange(texts)
        blocks.append(numbers[..., None].float())
        first += tags
    return Labels(tuple(blocks))


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=4), st.data())
def test_selecting_keeps_order_and_texts(counts: list[tuple[int, int]], data: st.DataObject):
    labels = blocks_of(counts)
    texts = [count for tags, count in counts for _ in range(tags)]
    places = data.draw(st.lists(st.integers(0, len(labels) - 1), max_size=8))
    chosen = labels.select(places)
    rows = [row for block in chosen.blocks for row in block]
    assert len(chosen) == len(places) == len(rows)
    for place, row in zip(places, rows, strict=True):
        assert row[:, 0].tolist() == [place * 100 + text for text in range(texts[place])]


def test_rows_of_the_classifier_go_along():
    labels = Labels((torch.zeros(4, 1, 2),), torch.arange(4.0)[:, None], torch.arange(4.0))
    chosen = labels.select([3, 1])
    assert chosen.weights is not None and chosen.weights[:, 0].tolist() == [3, 1]
    assert chosen.biases is not None and chosen.biases.tolist() == [3, 1]


def test_one_behind_the_other():
    both = blocks_of([(2, 3)]).followed_by(blocks_of([(1, 1)]))
    assert len(both) == 3
    assert [block.shape[:2] for block in both.blocks] == [(2, 3), (1, 1)]
