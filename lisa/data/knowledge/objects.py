"""Objects and facts of the knowledge table, and which fact holds for which object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from lisa.errors import DataError

FactKind = Literal["is", "made", "use", "place", "look", "does", "other"]
Category = Literal[
    "animal", "bird", "fish", "insect", "fruit", "vegetable", "food", "clothing", "instrument",
    "tool", "household", "medical", "toy", "vehicle", "building", "plant", "flower", "space",
    "sport", "person", "seasonal",
]  # fmt: skip
ARTICLES: Final = ("a", "an", "some", "the", "")


@dataclass(frozen=True)
class Fact:
    """One thing that is true of an object and of few others.

    Attributes:
        id: unique among the facts of its object.
        kind: what sort of fact: what the object is, is made of, is for, where it is found, how it
            looks, what it does, or something else that people know about it.
        text: verb phrase in the third person singular; never has a word of the object's name.
        owner: name of the object.
        also: names of other objects for which it holds.
        also_categories: it holds for everything in these categories.
    """

    id: str
    kind: FactKind
    text: str
    owner: str
    also: tuple[str, ...] = ()
    also_categories: tuple[Category, ...] = ()


@dataclass(frozen=True)
class KnownObject:
    """A kind of object that the generated pictures show.

    Attributes:
        name: key of the table, lower case.
        label: the name as it is written in the middle of a sentence ("Easter egg").
        category: the one that it belongs to.
        article: "a", "an", "some", "the", or "" for a proper name.
        plural: whether the name takes "are" ("scissors").
        stamps: cut-outs that show it, relative to the folder `stamps` of their package.
        facts: at least `MIN_FACTS`.
        confused_with: objects whose question this one might answer as well; a race car, for
            instance, is also a car.
        borderline: categories that somebody might put it in.
    """

    name: str
    label: str
    category: Category
    article: str
    plural: bool
    stamps: tuple[str, ...]
    facts: tuple[Fact, ...]
    confused_with: tuple[str, ...] = ()
    borderline: tuple[Category, ...] = ()

    @property
    def verb(self) -> Literal["is", "are"]:
        """The form of "to be" after the name."""
        return "are" if self.plural else "is"

    @property
    def definite(self) -> str:
        """The name after "Where is": "the cow", "Mars"."""
        return f"the {self.label}" if self.article else self.label

    @property
    def indefinite(self) -> str:
        """The name after "I see": "a cow", "some corn", "the moon", "Mars"."""
        return f"{self.article} {self.label}".strip()

    def fact(self, fact_id: str) -> Fact:
        """Give the fact with this id.

        Raises:
            DataError: if the object has no such fact.
        """
        for fact in self.facts:
            if fact.id == fact_id:
                return fact
        known = ", ".join(fact.id for fact in self.facts)
        raise DataError(f"{self.name} has no fact {fact_id!r}; its facts are {known}")


@dataclass(frozen=True)
class Knowledge:
    """The whole table.

    Attributes:
        objects: by name, in the order of the table.
        unseen_objects: names that no training picture or question has.
        unseen_facts: trained object -> ids of its facts that are never trained on.
        held_out_stamps: cut-outs of trained objects that are never trained on.
    """

    objects: Mapping[str, KnownObject]
    unseen_objects: frozenset[str]
    unseen_facts: Mapping[str, frozenset[str]]
    held_out_stamps: frozenset[str]

    def __getitem__(self, name: str) -> KnownObject:
        """Give the object with this name.

        Raises:
            DataError: if the table has no such object.
        """
        try:
            return self.objects[name]
        except KeyError:
            raise DataError(
                f"the knowledge table has no object {name!r}; give one of its {len(self.objects)} "
                "names (lisa/data/knowledge/objects.yaml)"
            ) from None

    @property
    def trained_names(self) -> tuple[str, ...]:
        """Names that training may show and ask for, sorted."""
        return tuple(sorted(self.objects.keys() - self.unseen_objects))

    def training_stamps(self) -> dict[str, tuple[str, ...]]:
        """Cut-outs that training may show, by name; objects never trained on are left out."""
        return {
            name: tuple(s for s in self.objects[name].stamps if s not in self.held_out_stamps)
            for name in self.trained_names
        }

    def trained_facts(self, name: str) -> tuple[Fact, ...]:
        """Facts of this object that training may use; none for an object never trained on."""
        item = self[name]
        if name in self.unseen_objects:
            return ()
        return tuple(fact for fact in item.facts if fact.id not in self.unseen_facts[name])

    def held_out_facts(self, name: str) -> tuple[Fact, ...]:
        """Facts of this object that training never sees; all, for an object never trained on."""
        trained = self.trained_facts(name)
        return tuple(fact for fact in self[name].facts if fact not in trained)

    def satisfies(self, name: str, fact: Fact) -> bool:
        """Whether this object could be the answer to a question about the fact.

        Errs on the side of yes, so that a question with one answer really has only one: objects
        that may be confused with one for which the fact holds count too.
        """
        item = self[name]
        names = (name, *item.confused_with)
        if any(n == fact.owner or n in fact.also for n in names):
            return True
        return any(self[n].category in fact.also_categories for n in names)

    def answers_to(self, name: str, asked: str) -> bool:
        """Whether an object of the first name could be meant by the second ("car": a race car)."""
        return name == asked or asked in self[name].confused_with
