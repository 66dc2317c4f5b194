from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eval.metrics import PixelCounts, score_pointing

THERE, MISSED = PixelCounts(3, 9, 5), PixelCounts(0, 5, 5)
DRAWN_WRONGLY, RIGHTLY_EMPTY = PixelCounts(0, 4, 0), PixelCounts(0, 0, 0)


def test_shares():
    scores = score_pointing(
        [(THERE, 2), (MISSED, 1), (MISSED, 0), (DRAWN_WRONGLY, 1), (RIGHTLY_EMPTY, 1)]
    )
    assert scores.emission == 2 / 3
    assert scores.false_positives == 1 / 2
    assert (scores.present, scores.absent) == (3, 2)


def test_nothing_asked_is_no_share():
    scores = score_pointing([(THERE, 1)])
    assert (scores.emission, scores.false_positives) == (1, None)
    assert score_pointing([]).emission is None


answers = st.lists(
    st.tuples(st.sampled_from([THERE, MISSED, DRAWN_WRONGLY, RIGHTLY_EMPTY]), st.integers(0, 3))
)


@given(answers, st.randoms())
def test_order_does_not_matter(given_answers, rng):
    shuffled = list(given_answers)
    rng.shuffle(shuffled)
    assert score_pointing(shuffled) == score_pointing(given_answers)
