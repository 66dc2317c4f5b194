"""The packaged table keeps its promises, and a damaged table is refused with one sentence."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from lisa.data.knowledge import TABLE, Fact, load_knowledge, names_itself, read_knowledge, satisfies
from lisa.errors import DataError

KNOWLEDGE = load_knowledge()


def test_table_is_large_enough_for_the_recipe() -> None:
    assert len(KNOWLEDGE.objects) >= 150
    assert all(len(item.facts) >= 6 for item in KNOWLEDGE.objects.values())
    assert all(len({f.kind for f in item.facts}) >= 3 for item in KNOWLEDGE.objects.values())
    assert len({item.category for item in KNOWLEDGE.objects.values()}) >= 20


def test_reading_twice_gives_the_same_object() -> None:
    assert load_knowledge() is load_knowledge()
    assert read_knowledge(TABLE) == KNOWLEDGE


def test_names_are_short_lower_case_and_facts_are_verb_phrases() -> None:
    for item in KNOWLEDGE.objects.values():
        assert item.name == item.name.lower()
        assert 1 <= len(item.name.split()) <= 3
        for fact in item.facts:
            first = fact.text.split()[0]
            assert first.islower() or first.endswith(",")
            assert first not in {"a", "an", "the", "it", "are", "be", "have"}
            assert not fact.text.endswith(".")


def test_articles_fit_the_names() -> None:
    for item in KNOWLEDGE.objects.values():
        if item.article in ("a", "an"):
            assert (item.article == "an") == (item.name[0] in "aeiou")
        assert item.plural == (item.verb == "are")
    assert KNOWLEDGE["mars"].definite == "Mars"
    assert KNOWLEDGE["moon"].indefinite == "the moon"


def test_no_fact_has_a_word_of_its_objects_name() -> None:
    for item in KNOWLEDGE.objects.values():
        assert not any(names_itself(fact) for fact in item.facts), item.name


@pytest.mark.parametrize(
    ("owner", "text", "gives_away"),
    [
        ("race car", "is one of the fastest cars", True),
        ("cherry", "is used for cherries in syrup", True),
        ("saw", "is good for sawing boards", True),
        ("candle", "is called candle's end", True),
        ("car", "carries a family", False),
        ("hat", "that hatches", False),
    ],
)
def test_inflections_of_a_name_are_found(owner: str, text: str, gives_away: bool) -> None:
    assert names_itself(Fact("other", "other", text, owner)) is gives_away


def test_facts_hold_for_owner_listed_and_confusable_objects() -> None:
    milk = next(f for f in KNOWLEDGE["cow"].facts if "milk" in f.text)
    assert satisfies("cow", milk)
    assert not satisfies("clock", milk)
    down = next(f for f in KNOWLEDGE["goose"].facts if "duck" in f.also)
    assert satisfies("duck", down)
    cars = KNOWLEDGE["car"].facts[0]
    assert satisfies("race car", cars)
    assert not satisfies("car", KNOWLEDGE["race car"].facts[0])
    feathers = Fact("look", "look", "has feathers", "owl", also_categories=("bird",))
    assert satisfies("penguin", feathers)
    assert not satisfies("frog", feathers)


def test_splits_are_disjoint_and_complete() -> None:
    trained = set(KNOWLEDGE.trained_names)
    assert 15 <= len(KNOWLEDGE.unseen_objects) <= 30
    assert trained.isdisjoint(KNOWLEDGE.unseen_objects)
    assert trained | KNOWLEDGE.unseen_objects == set(KNOWLEDGE.objects)
    assert len({KNOWLEDGE[n].category for n in KNOWLEDGE.unseen_objects}) >= 10
    for name in trained:
        held, kept = KNOWLEDGE.held_out_facts(name), KNOWLEDGE.trained_facts(name)
        assert len(held) == 2
        assert len(kept) >= 4
        assert set(held).isdisjoint(kept)
    for name in KNOWLEDGE.unseen_objects:
        assert KNOWLEDGE.trained_facts(name) == ()
        assert KNOWLEDGE.held_out_facts(name) == KNOWLEDGE[name].facts


def test_every_object_with_two_cut_outs_keeps_one_from_training() -> None:
    stamps = KNOWLEDGE.training_stamps()
    assert set(stamps) == set(KNOWLEDGE.trained_names)
    for name, kept in stamps.items():
        assert kept
        assert KNOWLEDGE.held_out_stamps.isdisjoint(kept)
        held = [s for s in KNOWLEDGE[name].stamps if s in KNOWLEDGE.held_out_stamps]
        assert len(held) == (1 if len(KNOWLEDGE[name].stamps) > 1 else 0)
    counts = Counter(s for item in KNOWLEDGE.objects.values() for s in item.stamps)
    assert max(counts.values()) == 1


def test_unknown_names_get_their_sentence() -> None:
    with pytest.raises(DataError, match="no object 'unicorn'"):
        KNOWLEDGE["unicorn"]
    with pytest.raises(DataError, match="no fact 'nonsense'"):
        KNOWLEDGE["cow"].fact("nonsense")
    with pytest.raises(DataError, match="no object 'unicorn'"):
        satisfies("unicorn", KNOWLEDGE["cow"].facts[0])


def small_table() -> dict[str, Any]:
    def record(name: str) -> dict[str, Any]:
        kinds = ("is", "made", "use", "place", "look", "does")
        facts = [{"id": k, "kind": k, "text": f"has {k} of number {len(name)}"} for k in kinds]
        stamps = [f"{name}-1.png", f"{name}-2.png"]
        return {
            "name": name, "category": "tool", "article": "a", "stamps": stamps, "facts": facts,
        }  # fmt: skip

    return {
        "objects": [record("one"), record("three"), record("fourteen")],
        "splits": {
            "unseen_objects": ["fourteen"],
            "unseen_facts": {"one": ["is", "made"], "three": ["is", "use"]},
            "held_out_stamps": ["one-2.png", "three-1.png"],
        },
    }


def read(tmp_path: Path, table: object) -> Any:
    path = tmp_path / "objects.yaml"
    path.write_text(yaml.safe_dump(table), encoding="utf-8")
    return read_knowledge(path)


def test_small_table_is_read(tmp_path: Path) -> None:
    knowledge = read(tmp_path, small_table())
    assert knowledge.trained_names == ("one", "three")
    assert knowledge.training_stamps()["three"] == ("three-2.png",)


def change(table: dict[str, Any], *path: Any, to: object) -> None:
    for key in path[:-1]:
        table = table[key]
    if to is None:
        del table[path[-1]]
    else:
        table[path[-1]] = to


@pytest.mark.parametrize(
    ("path", "to", "message"),
    [
        (("splits",), None, "not a knowledge table"),
        (("objects",), "text", "objects"),
        (("objects", 0, "stamps"), None, "lacks 'stamps'"),
        (("objects", 0, "stamps"), [], "no cut-out"),
        (("objects", 0, "stamps"), ["three-1.png"], "keep one"),
        (("objects", 0, "article"), "the one and only", "article"),
        (("objects", 0, "category"), "gadget", "category 'gadget'"),
        (("objects", 0, "borderline"), ["gadget"], "category 'gadget'"),
        (("objects", 0, "name"), "three", "two objects of the same name"),
        (("objects", 0, "confused_with"), ["unicorn"], "'unicorn', which is not in the table"),
        (("objects", 0, "facts", 0, "text"), None, "lacks 'text'"),
        (("objects", 0, "facts", 0, "text"), "is the only one", "word of the name"),
        (("objects", 0, "facts", 0, "text"), "has is of number 5", "same fact"),
        (("objects", 0, "facts", 0, "kind"), "rumour", "kind 'rumour'"),
        (("objects", 0, "facts", 0, "also"), ["unicorn"], "'unicorn', which is not in the table"),
        (("objects", 0, "facts", 0), None, "give at least 6"),
        (("objects", 0, "facts", 0, "id"), "use", "give at least 6"),
        (("splits", "unseen_objects"), ["unicorn"], "'unicorn', which is not in the table"),
        (("splits", "unseen_facts", "one"), ["is"], "under unseen_facts; give 2"),
        (("splits", "unseen_facts", "one"), ["is", "what"], "no fact 'what'"),
        (("splits", "held_out_stamps"), ["x.png"], "shows no object"),
        (("splits", "held_out_stamps"), ["one-1.png", "one-2.png"], "leave one for training"),
    ],
)
def test_damaged_tables_get_one_sentence(
    tmp_path: Path, path: tuple[Any, ...], to: object, message: str
) -> None:
    table = small_table()
    change(table, *path, to=to)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, table)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_yaml_gets_its_sentence(tmp_path: Path) -> None:
    path = tmp_path / "objects.yaml"
    path.write_text("objects: [unclosed", encoding="utf-8")
    with pytest.raises(DataError, match="not a knowledge table"):
        read_knowledge(path)
