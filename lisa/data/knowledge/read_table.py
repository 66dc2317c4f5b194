"""Reads a knowledge table from YAML and refuses one that contradicts itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

import yaml

from lisa.data.knowledge.objects import ARTICLES, Category, Fact, FactKind, Knowledge, KnownObject
from lisa.errors import DataError

MIN_FACTS: Final = 6
"""Fewer facts leave too little to train on once the two for evaluation are set aside."""

MIN_KINDS: Final = 3
"""An object is described from at least so many sides."""

HELD_OUT_FACTS: Final = 2
"""So many facts of every trained object are never trained on."""


def _inflections(word: str) -> set[str]:
    forms = {word, *(word + end for end in ("s", "es", "'s", "ing", "ed", "y"))}
    forms.add(word + word[-1] + "ing")
    if word.endswith("y"):
        forms.add(word[:-1] + "ies")
    if word.endswith("e"):
        forms |= {word[:-1] + "ing", word + "d"}
    if word.endswith("s"):
        forms.add(word[:-1])
    return forms


def words_of(text: str) -> list[str]:
    """Words of a name or fact in lower case; hyphens separate, apostrophes within a word stay."""
    letters = "".join(c if c.isalnum() or c == "'" else " " for c in text.lower())
    return [word for word in (w.strip("'") for w in letters.split()) if word]


def names_itself(fact: Fact) -> bool:
    """Whether a fact gives its object away by a word of the name or an inflection of one."""
    forbidden: set[str] = set()
    for word in words_of(fact.owner):
        if len(word) > 1:
            forbidden |= _inflections(word)
    return not forbidden.isdisjoint(words_of(fact.text))


def _read_fact(record: Mapping[str, Any], owner: str) -> Fact:
    try:
        fact = Fact(
            id=record["id"],
            kind=record["kind"],
            text=record["text"],
            owner=owner,
            also=tuple(record.get("also", ())),
            also_categories=tuple(record.get("also_categories", ())),
        )
    except KeyError as error:
        raise DataError(f"a fact of {owner} lacks {error}; give id, kind and text") from None
    if fact.kind not in get_args(FactKind):
        raise DataError(
            f"fact {fact.id} of {owner} has the kind {fact.kind!r}; "
            f"give one of {', '.join(get_args(FactKind))}"
        )
    if names_itself(fact):
        raise DataError(
            f"fact {fact.id} of {owner} has a word of the name ({fact.text!r}); word it differently"
        )
    return fact


def _read_object(record: Mapping[str, Any]) -> KnownObject:
    try:
        name = record["name"]
        item = KnownObject(
            name=name,
            label=record.get("label", name),
            category=record["category"],
            article=record["article"],
            plural=record.get("plural", False),
            stamps=tuple(record["stamps"]),
            facts=tuple(_read_fact(fact, name) for fact in record["facts"]),
            confused_with=tuple(record.get("confused_with", ())),
            borderline=tuple(record.get("borderline", ())),
        )
    except KeyError as error:
        raise DataError(
            f"object {record.get('name', '?')!r} lacks {error}; "
            "give name, category, article, stamps and facts"
        ) from None
    if item.article not in ARTICLES:
        raise DataError(f"{name} has the article {item.article!r}; give a, an, some, the or ''")
    for category in (item.category, *item.borderline):
        if category not in get_args(Category):
            raise DataError(
                f"{name} has the category {category!r}; give one of {', '.join(get_args(Category))}"
            )
    ids = {fact.id for fact in item.facts}
    if len(ids) < MIN_FACTS or len({fact.kind for fact in item.facts}) < MIN_KINDS:
        raise DataError(
            f"{name} has {len(ids)} different facts; "
            f"give at least {MIN_FACTS} of at least {MIN_KINDS} kinds"
        )
    if len(ids) < len(item.facts):
        raise DataError(f"{name} has two facts with the same id; give each its own")
    if not item.stamps:
        raise DataError(f"{name} has no cut-out; list at least one under stamps")
    return item


def _references(knowledge: Knowledge) -> Iterator[tuple[str, str]]:
    for item in knowledge.objects.values():
        for other in item.confused_with:
            yield f"confused_with of {item.name}", other
        for fact in item.facts:
            for other in fact.also:
                yield f"fact {fact.id} of {item.name}", other
    for name in knowledge.unseen_objects:
        yield "unseen_objects", name
    for name in knowledge.unseen_facts:
        yield "unseen_facts", name


def _check_stamps(knowledge: Knowledge) -> None:
    owners: dict[str, str] = {}
    for item in knowledge.objects.values():
        for stamp in item.stamps:
            if stamp in owners:
                raise DataError(f"cut-out {stamp} shows {owners[stamp]} and {item.name}; keep one")
            owners[stamp] = item.name
    for stamp in knowledge.held_out_stamps - owners.keys():
        raise DataError(f"held_out_stamps names {stamp}, which shows no object; remove it")
    for name, stamps in knowledge.training_stamps().items():
        if not stamps:
            raise DataError(f"every cut-out of {name} is held out; leave one for training")


def _check(knowledge: Knowledge) -> None:
    for where, name in _references(knowledge):
        if name not in knowledge.objects:
            raise DataError(f"{where} names {name!r}, which is not in the table; correct it")
    texts: dict[str, str] = {}
    for item in knowledge.objects.values():
        for fact in item.facts:
            if fact.text in texts:
                raise DataError(
                    f"{texts[fact.text]} and {item.name} have the same fact {fact.text!r}; "
                    "keep it once, with the other object under also"
                )
            texts[fact.text] = item.name
    for name in knowledge.trained_names:
        held = knowledge.unseen_facts.get(name, frozenset())
        if len(held) != HELD_OUT_FACTS:
            raise DataError(
                f"{name} has {len(held)} facts under unseen_facts; give {HELD_OUT_FACTS}"
            )
        for fact_id in held:
            knowledge[name].fact(fact_id)
    _check_stamps(knowledge)


def read_knowledge(path: Path) -> Knowledge:
    """Read and check a table.

    Args:
        path: YAML file with `objects` and `splits`, as `objects.yaml` explains at its top.

    Raises:
        DataError: if the file is not YAML, lacks a field, or contradicts itself.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        records, splits = document["objects"], document["splits"]
        knowledge = Knowledge(
            objects={item.name: item for item in map(_read_object, records)},
            unseen_objects=frozenset(splits["unseen_objects"]),
            unseen_facts={name: frozenset(ids) for name, ids in splits["unseen_facts"].items()},
            held_out_stamps=frozenset(splits["held_out_stamps"]),
        )
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is not a knowledge table ({str(error).splitlines()[0]}); "
            "give YAML with objects and splits"
        ) from error
    if len(knowledge.objects) < len(records):
        raise DataError(f"{path} has two objects of the same name; give each its own")
    _check(knowledge)
    return knowledge
