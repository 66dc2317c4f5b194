from __future__ import annotations

import gc

import pytest

from lisa.garbage import without_collection


@pytest.fixture(autouse=True)
def as_before():
    was_on = gc.isenabled()
    yield
    (gc.enable if was_on else gc.disable)()


@pytest.mark.parametrize("was_on", [True, False])
def test_collection_is_as_before_whatever_happens(was_on: bool) -> None:
    (gc.enable if was_on else gc.disable)()

    @without_collection()
    def fail() -> None:
        assert not gc.isenabled()
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert gc.isenabled() == was_on


def test_a_function_runs_without_it_each_time() -> None:
    gc.enable()
    asked = without_collection()(gc.isenabled)
    assert [asked(), gc.isenabled(), asked(), gc.isenabled()] == [False, True, False, True]


@pytest.mark.parametrize("for_good", [True, False])
def test_what_was_made_may_be_left_alone_for_good(for_good: bool) -> None:
    gc.collect()
    before = gc.get_freeze_count()
    with without_collection(for_good=for_good):
        made = [[] for _ in range(1000)]
    try:
        assert (gc.get_freeze_count() >= before + len(made)) == for_good
    finally:
        gc.unfreeze()


@pytest.mark.parametrize(("value", "collects"), [("1", True), ("0", False), ("", False)])
def test_the_environment_may_ask_for_it_to_be_collected_as_ever(
    value: str, collects: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gc.enable()
    monkeypatch.setenv("LISA_COLLECT_GARBAGE", value)
    before = gc.get_freeze_count()
    try:
        assert without_collection(for_good=True)(gc.isenabled)() == collects
        assert (gc.get_freeze_count() == before) == collects
    finally:
        gc.unfreeze()
