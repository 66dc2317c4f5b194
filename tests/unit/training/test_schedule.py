from __future__ import annotations

from typing import get_args

import pytest

from training.schedule import Schedule, learning_rate_share

KINDS = get_args(Schedule)


@pytest.mark.parametrize("schedule", KINDS)
def test_the_learning_rate_rises_and_falls(schedule: Schedule) -> None:
    shares = [learning_rate_share(step, 200, 20, schedule, final=0.02) for step in range(200)]
    assert all(0 < share <= 1 for share in shares)
    assert shares[0] == 1 / 20
    assert max(shares) == shares[19] == shares[20] == 1
    assert shares[:20] == sorted(shares[:20])
    assert shares[20:] == sorted(shares[20:], reverse=True)


@pytest.mark.parametrize("schedule", [kind for kind in KINDS if kind != "constant"])
@pytest.mark.parametrize("final", [0.0, 0.02])
def test_it_ends_at_its_final_share_and_stays_there(schedule: Schedule, final: float) -> None:
    assert learning_rate_share(200, 200, 20, schedule, final) == pytest.approx(final)
    assert learning_rate_share(10_000, 200, 20, schedule, final) == pytest.approx(final)


def test_runs_shorter_than_their_warm_up_still_learn() -> None:
    assert learning_rate_share(0, 1, 0) == 1
    assert 0 < learning_rate_share(3, 4, 50) < 1
