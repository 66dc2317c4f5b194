"""Which objects fit a category that is asked for, surely or perhaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lisa.data.knowledge import Category, KnownObject


@dataclass(frozen=True)
class AskedCategory:
    """A category as a question names it.

    Attributes:
        noun: "animal".
        indefinite: "an animal".
        surely: categories of the table whose objects belong to it.
        perhaps: categories of the table whose objects somebody might count as well.
        plural: "animals"; empty where one would not count them by this name.
    """

    noun: str
    indefinite: str
    surely: frozenset[Category]
    perhaps: frozenset[Category] = frozenset()
    plural: str = ""

    def includes(self, item: KnownObject) -> bool:
        """Whether everybody would count the object."""
        return item.category in self.surely and not self.surely & set(item.borderline)

    def may_include(self, item: KnownObject) -> bool:
        """Whether somebody might count the object."""
        wide = self.surely | self.perhaps
        return item.category in wide or not wide.isdisjoint(item.borderline)


_ASKED: Final = (
    AskedCategory(
        "animal", "an animal", frozenset({"animal", "bird", "fish", "insect"}), plural="animals"
    ),
    AskedCategory("bird", "a bird", frozenset({"bird"}), plural="birds"),
    AskedCategory("fish", "a fish", frozenset({"fish"}), plural="fish"),
    AskedCategory("insect", "an insect", frozenset({"insect"}), plural="insects"),
    AskedCategory("fruit", "a fruit", frozenset({"fruit"}), plural="fruits"),
    AskedCategory("vegetable", "a vegetable", frozenset({"vegetable"}), plural="vegetables"),
    AskedCategory(
        "food", "something to eat", frozenset({"food", "fruit", "vegetable"}), frozenset({"fish"})
    ),
    AskedCategory(
        "piece of clothing",
        "a piece of clothing",
        frozenset({"clothing"}),
        plural="pieces of clothing",
    ),
    AskedCategory(
        "musical instrument",
        "a musical instrument",
        frozenset({"instrument"}),
        plural="musical instruments",
    ),
    AskedCategory(
        "tool", "a tool", frozenset({"tool"}), frozenset({"household", "medical"}), plural="tools"
    ),
    AskedCategory("vehicle", "a vehicle", frozenset({"vehicle"}), plural="vehicles"),
    AskedCategory("building", "a building", frozenset({"building"}), plural="buildings"),
    AskedCategory("flower", "a flower", frozenset({"flower"}), plural="flowers"),
    AskedCategory(
        "plant",
        "a plant",
        frozenset({"plant", "flower"}),
        frozenset({"fruit", "vegetable"}),
        plural="plants",
    ),
    AskedCategory("toy", "a toy", frozenset({"toy"}), frozenset({"sport"}), plural="toys"),
    AskedCategory("person", "a person", frozenset({"person"}), frozenset({"toy"}), plural="people"),
    AskedCategory("thing for sports", "a thing for sports", frozenset({"sport"})),
    AskedCategory("medical thing", "something that doctors use", frozenset({"medical"})),
)


def asked_categories() -> tuple[AskedCategory, ...]:
    """All categories that questions ask for."""
    return _ASKED


def only_one_of(category: AskedCategory, items: Sequence[KnownObject]) -> int | None:
    """Index of the only object that fits, or None if none or several might."""
    fitting = [index for index, item in enumerate(items) if category.may_include(item)]
    if len(fitting) == 1 and category.includes(items[fitting[0]]):
        return fitting[0]
    return None
