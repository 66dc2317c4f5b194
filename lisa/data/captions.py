"""One sentence about a picture whose things and relations are known: what is asked, what is right.

The question carries everything that the sentence shall say, so that it needs a language model for
the wording only. At run time the same question is written from what models found.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from lisa.data.colours import COLOURS
from lisa.data.knowledge import KnownObject, load_knowledge
from lisa.data.phrasings import Phrasings, Split
from lisa.data.questions import Question
from lisa.data.scenes.relations import ObjectRelation, Predicate
from lisa.errors import DataError

MOST_RELATIONS: Final = 3
"""A sentence with more of them is no longer one that anybody would say."""

REQUESTS: Final = Phrasings(
    train=(
        "Describe the picture in one sentence.",
        "Write a caption for this picture.",
        "Say in one sentence what the picture shows.",
        "Put this into one sentence.",
    ),
    held_out=("Give me a one-sentence description.", "Sum the picture up in a sentence."),
)

_RANK: Final[Mapping[str, int]] = MappingProxyType(
    {"inside": 0, "in front of": 1, "behind": 1, "touching": 3}
)
"""What a right sentence says first, being more particular; directions have 2."""

WORDINGS: Final[Mapping[Predicate, tuple[str, ...]]] = MappingProxyType(
    {
        "left of": ("to the left of", "left of", "on the left of"),
        "right of": ("to the right of", "right of", "on the right of"),
        "above": ("above",),
        "below": ("below", "under"),
        "in front of": ("in front of",),
        "behind": ("behind",),
        "touching": ("touching", "right next to"),
        "inside": ("inside", "within"),
    }
)
"""How a sentence may put a relation."""

_OPENINGS: Final = (
    "{First} {is} {relation} {second}",
    "There {is} {first} {relation} {second}",
    "{First} {relation} {second}",
    "The picture shows {first} {relation} {second}",
)
_FURTHER: Final = (", and {first} {is} {relation} {second}", ", {first} {is} {relation} {second}")
_LISTS: Final = ("The picture shows {list}.", "There {is} {list} in the picture.", "{List}.")
_LEFT_OVER: Final = (", and there {is} {list} too", ", with {list} beside them")


@dataclass(frozen=True)
class CaptionRelation:
    """A relation of two things that a caption shall say.

    Attributes:
        subject: Place among the things.
        predicate: In the words of whoever found it, such as "left of".
        object: Place among the things.
    """

    subject: int
    predicate: str
    object: int


def caption_request(
    things: Sequence[str], relations: Sequence[CaptionRelation], request: str = REQUESTS.train[0]
) -> str:
    """Write the question: the things by name, how they relate, and what is wanted.

    Args:
        things: Names without articles, one or more.
        relations: Between them.
        request: What is wanted.

    Raises:
        DataError: If there is nothing to describe.
    """
    if not things:
        raise DataError("a caption needs at least one thing; find out first what the picture shows")
    text = f"Things: {', '.join(things)}."
    if relations:
        said = (f"{things[r.subject]} {r.predicate} {things[r.object]}" for r in relations)
        text += f" Relations: {'; '.join(said)}."
    return f"{text} {request}"


def worth_saying(
    relations: Sequence[CaptionRelation], most: int = MOST_RELATIONS
) -> list[CaptionRelation]:
    """Choose relations so that few of them speak of as many things as possible.

    Args:
        relations: All that hold, first what shall rather be said: of what models found, the surest.
            Those that say the same seen from the other thing may be among them.
        most: How many to choose at most.

    Returns:
        Chosen relations, in the order in which to say them.
    """
    chosen: list[CaptionRelation] = []
    mentioned: set[int] = set()
    while len(chosen) < most:
        # What goes on from a thing that was mentioned reads better than two sentences in one.
        news = [one for one in relations if not {one.subject, one.object} <= mentioned]
        linked = [one for one in news if {one.subject, one.object} & mentioned]
        if not news:
            break
        one = (linked or news)[0]
        chosen.append(one)
        mentioned |= {one.subject, one.object}
    return chosen


def caption_question(
    present: Sequence[str],
    relations: Sequence[ObjectRelation],
    rng: random.Random,
    split: Split,
) -> Question:
    """Ask for one sentence about a scene.

    Args:
        present: Names of the objects in the picture.
        relations: What is true of them; see `lisa.data.scenes.scene_relations`.
        rng: Source of all choices: the order of things, which side a relation is seen from, colours
            (drawn, for half of the things: a sentence keeps to the words of the question, whatever
            the picture looks like), wordings.
        split: "eval" takes held-out requests.

    Raises:
        DataError: If a name is not in the table.
    """
    knowledge = load_knowledge()
    order = rng.sample(range(len(present)), len(present))
    places = {old: new for new, old in enumerate(order)}
    things = [_Thing.drawn(knowledge[present[old]], rng) for old in order]
    all_true = [CaptionRelation(places[s], p, places[o]) for s, p, o in relations]
    rng.shuffle(all_true)
    all_true.sort(key=lambda one: _RANK.get(one.predicate, 2))
    chosen = worth_saying(all_true, rng.randint(1, MOST_RELATIONS))
    phrasing = rng.choice(REQUESTS.of(split))
    text = caption_request([thing.label for thing in things], chosen, phrasing)
    return Question(text, _sentence(things, chosen, rng), (), "caption", None, phrasing)


@dataclass(frozen=True)
class _Thing:
    """How a thing is called in one sentence."""

    label: str
    article: str
    verb: str

    @classmethod
    def drawn(cls, item: KnownObject, rng: random.Random) -> _Thing:
        """Take an object, in half of the cases with a colour before its name."""
        if item.article not in ("a", "an", "some") or rng.random() < 0.5:
            return cls(item.label, item.article, item.verb)
        label = f"{rng.choice(COLOURS)} {item.label}"
        article = item.article
        if article != "some":
            article = "an" if label[0] in "aeiou" else "a"
        return cls(label, article, item.verb)

    def named(self, known: bool) -> str:
        """The name after "there is"; after it was mentioned once, with "the"."""
        article = "the" if known and self.article else self.article
        return f"{article} {self.label}".strip()


def _sentence(
    things: Sequence[_Thing], relations: Sequence[CaptionRelation], rng: random.Random
) -> str:
    if not relations:
        listed = _listed(things)
        verb = things[0].verb
        text = rng.choice(_LISTS).format(list=listed, List=_capital(listed), **{"is": verb})
        return _capital(text)
    text = ""
    mentioned: set[int] = set()
    for number, one in enumerate(relations):
        first = things[one.subject].named(one.subject in mentioned)
        fields = {
            "first": first,
            "First": _capital(first),
            "second": things[one.object].named(one.object in mentioned),
            "is": things[one.subject].verb,
            "relation": _worded(one.predicate, rng),
        }
        last = number == len(relations) - 1
        # The word "and" stands once, before the last part.
        further = _FURTHER[0] if last else _FURTHER[1]
        text += (further if number else rng.choice(_OPENINGS)).format(**fields)
        mentioned |= {one.subject, one.object}
    rest = [thing for place, thing in enumerate(things) if place not in mentioned]
    if rest:
        text += rng.choice(_LEFT_OVER).format(list=_listed(rest), **{"is": rest[0].verb})
    return f"{_capital(text)}."


def _worded(predicate: str, rng: random.Random) -> str:
    for known, wordings in WORDINGS.items():
        if known == predicate:
            return rng.choice(wordings)
    return predicate


def _listed(things: Sequence[_Thing]) -> str:
    names = [thing.named(False) for thing in things]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
