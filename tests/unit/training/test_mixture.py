from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from lisa.data.mask_sources import BoxMask
from lisa.data.readers import Reader
from lisa.data.records import Expression, Record, Target
from lisa.errors import ConfigError, DataError
from lisa.types import ImageSize
from training.mixture import Mixture, WeightedReader
from training.samples import SampleSettings

SIZE = ImageSize(8, 8)


class Counted(Reader):
    """Records `name/0`, `name/1`, …; those in `broken` are damaged."""

    task = "semantic"

    def __init__(self, root: Path, split: str | None = None) -> None:
        self.name, self.count, self.broken = str(root), 0, set[int]()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Record:
        if index in self.broken:
            raise DataError(f"{self.name} {index} is damaged.")
        target = Target((Expression("box"), Expression("square")), BoxMask((0, 0, 4, 4), SIZE))
        return Record(f"{self.name}/{index}", b"", SIZE, (target,))


def counted(name: str, count: int, weight: float = 1, broken: set[int] = frozenset()):
    reader = Counted(Path(name))
    reader.count, reader.broken = count, set(broken)
    return WeightedReader(name, reader, weight)


def at(mixture: Mixture, position: int):
    return mixture.draw(position, lambda sample: sample)


def keys(mixture: Mixture, positions: range) -> list[str]:
    return [at(mixture, k).item.key for k in positions]


def words(mixture: Mixture, positions: range) -> list[str]:
    return [
        at(mixture, k).item.dialogues[0].conversation.messages[0].parts[-1].text for k in positions
    ]


@pytest.mark.parametrize("order", ["forward", "backward"])
def test_an_item_depends_on_its_position_alone(order: str) -> None:
    readers = [counted("a", 7), counted("b", 20, 3)]
    first, second = (Mixture(readers, SampleSettings(), seed=5) for _ in range(2))
    positions = list(range(90))
    visited = positions if order == "forward" else positions[::-1]
    found = {k: at(second, k) for k in visited}
    for k in positions:
        assert at(first, k).item.key == found[k].item.key
    assert words(first, range(90)) == words(second, range(90))


def test_another_seed_gives_another_stream() -> None:
    one, other = (Mixture([counted("a", 50)], SampleSettings(), seed) for seed in (1, 2))
    assert keys(one, range(50)) != keys(other, range(50))
    assert sorted(keys(one, range(50))) == sorted(keys(other, range(50)))


def test_another_epoch_has_another_order() -> None:
    mixture = Mixture([counted("a", 50)], SampleSettings(), 0)
    assert keys(mixture, range(50)) != keys(mixture, range(50, 100))


@pytest.mark.parametrize("length", [None, 40, 1000])
def test_weights_are_shares_of_an_epoch(length: int | None) -> None:
    readers = [counted("a", 30, 9), counted("b", 5, 3), counted("c", 65, 1)]
    mixture = Mixture(readers, SampleSettings(), 3, length)
    seen = Counter(key[0] for key in keys(mixture, range(mixture.length)))
    assert sum(seen.values()) == (length or 100)
    for name, weight in (("a", 9), ("b", 3), ("c", 1)):
        assert abs(seen[name] - weight / 13 * mixture.length) < 1


def test_no_record_comes_twice_before_all_came_once() -> None:
    """Across epochs too, and whatever share of it an epoch has."""
    mixture = Mixture([counted("a", 17, 2), counted("b", 9, 5)], SampleSettings(), 4, length=30)
    stream = keys(mixture, range(30 * 12))
    for name, size in (("a", 17), ("b", 9)):
        own = Counter(key for key in stream if key[0] == name)
        assert len(own) == size
        # The last round of permutations is under way, within an epoch they are shuffled together.
        assert max(own.values()) - min(own.values()) <= 1


def test_a_damaged_record_is_replaced_and_reported() -> None:
    mixture = Mixture([counted("a", 20, broken={3, 4})], SampleSettings(), 0)
    draws = [at(mixture, k) for k in range(20)]
    assert {one.place for draw in draws for one in draw.skipped} >= {"a, record 3", "a, record 4"}
    assert all("is damaged" in one.message for draw in draws for one in draw.skipped)
    assert not {"a/3", "a/4"} & {draw.item.key for draw in draws}
    again = Mixture([counted("a", 20, broken={3, 4})], SampleSettings(), 0)
    assert [draw.item.key for draw in draws] == keys(again, range(20))


def test_a_data_set_that_is_all_damaged_stops() -> None:
    mixture = Mixture([counted("a", 5, broken=set(range(5)))], SampleSettings(), 0)
    with pytest.raises(DataError, match="is damaged"):
        at(mixture, 0)


@pytest.mark.parametrize(
    ("readers", "length", "message"),
    [
        ([], None, "nothing to learn from"),
        ([counted("a", 0)], None, "nothing to learn from in a"),
        ([counted("a", 3, 0)], None, "must be above 0"),
        ([counted("a", 3, float("nan"))], None, "must be above 0"),
        ([counted("a", 3, 1000), counted("b", 3, 1)], 10, "b would give none of the 10 samples"),
    ],
)
def test_refused(readers: list[WeightedReader], length: int | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Mixture(readers, SampleSettings(), 0, length)
