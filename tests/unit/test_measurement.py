from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lisa.measurement import Measurement, in_turns, seconds

NUMBERS = st.lists(st.floats(0.1, 1e3), min_size=1, max_size=9)


@given(NUMBERS, st.floats(0.2, 5))
def test_ratios_say_how_many_times_better(values: list[float], factor: float) -> None:
    worse = [value * factor for value in values]
    assert Measurement.of(values, "s", worse).ratio == pytest.approx(factor)
    rates = Measurement.of(worse, "1/s", values, more_is_better=True)
    assert rates.ratio == pytest.approx(factor)


@given(NUMBERS)
def test_median_and_spread_lie_within_the_rounds(values: list[float]) -> None:
    found = Measurement.of(values, "s")
    assert min(values) <= found.median <= max(values)
    assert 0 <= found.spread <= max(values) - min(values)
    assert found.ratio is None


def test_ways_take_turns_and_the_warm_up_does_not_count() -> None:
    said: list[str] = []

    def way(name: str):
        return lambda: said.append(name) or float(len(said))

    assert in_turns([way("a"), way("b")], 2) == [[3.0, 5.0], [4.0, 6.0]]
    assert "".join(said) == "ababab"


def test_seconds() -> None:
    done: list[int] = []
    assert 0 <= seconds(lambda: done.append(1)) < 5
    assert done == [1]
