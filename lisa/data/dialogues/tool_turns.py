"""Turns about things that have names: how they relate, what they are, how large, up close."""

from __future__ import annotations

import random

from lisa.data.categories import asked_categories
from lisa.data.colours import COLOURS
from lisa.data.dialogues import answers, wordings
from lisa.data.dialogues.references import Reference, refer, refer_to_two
from lisa.data.dialogues.state import DialogueState, NamedObject, ReferenceKind
from lisa.data.scenes.relations import ObjectRelation
from lisa.observations import (
    RelationWords,
    percent,
    place_of,
    say_area,
    say_count,
    say_crop,
    say_distance,
    say_edit,
    say_error,
    say_overlap,
    say_region,
    say_relations,
)

_MOST_RELATIONS = 4


def related(state: DialogueState) -> bool:
    """Ask what stands in a relation to something."""
    rng = state.rng
    reference = refer(state)
    predicate = rng.choice(list(wordings.WHERE))
    true = [one for one in state.scene.relations if one.object == reference.index]
    if true and rng.random() < 0.8:
        predicate = rng.choice(true).predicate
    if predicate == "touching" and rng.random() < 0.5:
        text = rng.choice(wordings.TOUCHING.of(state.split)).format(it=reference.words)
    else:
        where = rng.choice(wordings.WHERE[predicate])
        phrasing = rng.choice(wordings.RELATED.of(state.split))
        text = phrasing.format(where=where, it=reference.words)
    arguments = {"relation": predicate, "object": reference.argument}
    state.ask_tool("relate", text, "relate", arguments, reference.kind)
    _tell_relations(state, [one for one in true if one.predicate == predicate])
    return True


def between(state: DialogueState) -> bool:
    """Ask how two things relate."""
    pair = refer_to_two(state)
    if pair is None:
        return False
    first, second = pair
    phrasing = state.rng.choice(wordings.BETWEEN.of(state.split))
    text = phrasing.format(first=first.words, second=second.words)
    arguments = {"subject": first.argument, "object": second.argument}
    state.ask_tool("relate", text, "relate", arguments, _kind_of(first, second))
    wanted = (first.index, second.index)
    _tell_relations(state, [r for r in state.scene.relations if (r.subject, r.object) == wanted])
    return True


def all_relations(state: DialogueState) -> bool:
    """Ask how everything relates."""
    text = state.rng.choice(wordings.ALL_RELATIONS.of(state.split))
    state.ask_tool("relate", text, "relate", {})
    _tell_relations(state, state.rng.sample(state.scene.relations, len(state.scene.relations)))
    return True


def _tell_relations(state: DialogueState, true: list[ObjectRelation]) -> None:
    found: list[tuple[NamedObject, RelationWords, NamedObject]] = []
    for one in true[:_MOST_RELATIONS]:
        subject, other = state.named(one.subject), state.named(one.object)
        found.append((subject, RelationWords(subject.label, one.predicate, other.label), other))
    state.observe(say_relations([words for _, words, _ in found]))
    focus = [found[0][0].name] if len(found) == 1 else []
    state.answer(answers.relations_answer(state, found), focus)


def region(state: DialogueState) -> bool:
    """Ask what a segment shows; sometimes the person points at it first."""
    rng = state.rng
    if rng.random() < 0.5:
        pointed = state.point(rng.randrange(len(state.scene.names)))
        words = rng.choice((pointed.name, "this", "that", "it", "this thing"))
        kind: ReferenceKind = "name" if words == pointed.name else "context"
        reference = Reference(words, pointed.name, pointed.index, kind)
    else:
        reference = refer(state)
    text = rng.choice(wordings.REGION.of(state.split)).format(it=reference.words)
    state.ask_tool(
        "describe_region", text, "describe_region", {"segment": reference.argument}, reference.kind
    )
    segment = _segment(state, reference)
    if segment.what is None:
        segment = state.learn(segment)
    mask = state.scene.masks[segment.index]
    colours = rng.sample(list(COLOURS), rng.randint(0, 2))
    told = say_region(segment.label, colours, place_of(mask), float(mask.mean()))
    state.observe(told)
    details = told.partition(": ")[2]
    definite = state.scene.item(segment.index).definite
    state.answer(answers.region_answer(segment, definite, details), [segment.name])
    return True


def area(state: DialogueState) -> bool:
    """Ask how large something is."""
    reference = refer(state)
    text = state.rng.choice(wordings.AREA.of(state.split)).format(it=reference.words)
    arguments = {"what": "area", "segments": [reference.argument]}
    state.ask_tool("measure", text, "measure", arguments, reference.kind)
    if _is_unknown(state, reference):
        return True
    segment = _segment(state, reference)
    mask = state.scene.masks[segment.index]
    share, pixels = float(mask.mean()), int(mask.sum())
    state.observe(say_area(segment.label, share, pixels))
    state.answer(answers.area_answer(state, segment, share, pixels), [segment.name])
    return True


def overlap(state: DialogueState) -> bool:
    """Ask how far two things overlap."""
    return _two(state, "overlap")


def distance(state: DialogueState) -> bool:
    """Ask how far two things are apart."""
    return _two(state, "distance")


def _two(state: DialogueState, what: str) -> bool:
    pair = refer_to_two(state)
    if pair is None:
        return False
    first, second = pair
    phrasings = wordings.OVERLAP if what == "overlap" else wordings.DISTANCE
    phrasing = state.rng.choice(phrasings.of(state.split))
    text = phrasing.format(first=first.words, second=second.words)
    arguments = {"what": what, "segments": [first.argument, second.argument]}
    state.ask_tool("measure", text, "measure", arguments, _kind_of(first, second))
    one, other = _segment(state, first), _segment(state, second)
    # The words are what is learnt here, so any number will do.
    pixels = _pixels(state.rng)
    said = answers.called(state, one), answers.called(state, other)
    if what == "overlap":
        state.observe(say_overlap(one.label, other.label, pixels))
        state.answer(answers.overlap_answer(*said, pixels))
    else:
        state.observe(say_distance(one.label, other.label, pixels))
        state.answer(answers.distance_answer(*said, pixels))
    return True


def _pixels(rng: random.Random) -> int:
    return 0 if rng.random() < 0.4 else rng.randint(1, 10 ** rng.randint(1, 4))


def count(state: DialogueState) -> bool:
    """Ask how many things there are, of all kinds or of one."""
    rng, scene = state.rng, state.scene
    if rng.random() < 0.5:
        category = rng.choice([one for one in asked_categories() if one.plural])
        things = category.plural
        text = rng.choice(wordings.COUNT_OF.of(state.split)).format(things=things)
        state.ask_tool("count", text, "measure", {"what": "count", "of": things})
        found = [i for i in range(len(scene.names)) if category.includes(scene.item(i))]
    else:
        text = rng.choice(wordings.COUNT.of(state.split))
        state.ask_tool("count", text, "measure", {"what": "count"})
        found = list(range(len(scene.names)))
    segments = [state.named(index) for index in found]
    state.observe(say_count([one.label for one in segments]))
    state.answer(answers.count_answer(segments), [one.name for one in segments])
    return True


def crop(state: DialogueState) -> bool:
    """Ask for something up close."""
    reference = refer(state)
    text = state.rng.choice(wordings.CROP.of(state.split)).format(it=reference.words)
    state.ask_tool("crop", text, "crop", {"segment": reference.argument}, reference.kind)
    if _is_unknown(state, reference):
        return True
    segment = _segment(state, reference)
    state.pictures += 1
    state.observe(say_crop(segment.label, state.pictures))
    shown = answers.called(state, segment)
    state.answer(f"Picture {state.pictures} shows {shown} up close.", [segment.name])
    return True


def edit(state: DialogueState) -> bool:
    """Ask for a larger or smaller mask."""
    reference = refer(state)
    change = state.rng.choice(("bigger", "smaller"))
    phrasings = wordings.BIGGER if change == "bigger" else wordings.SMALLER
    text = state.rng.choice(phrasings.of(state.split)).format(it=reference.words)
    arguments = {"segment": reference.argument, "change": change}
    state.ask_tool("edit", text, "edit", arguments, reference.kind)
    if _is_unknown(state, reference):
        return True
    segment = _segment(state, reference)
    new = state.add(segment.index, segment.what)
    share = float(state.scene.masks[segment.index].mean()) * (1.2 if change == "bigger" else 0.8)
    state.observe(say_edit(new.name, segment.label, change, share))
    said = answers.called(state, segment)
    text = f"{new.name} is {said} made {change}; it covers {percent(share)} of the picture."
    state.answer(text, [new.name])
    return True


def _segment(state: DialogueState, reference: Reference) -> NamedObject:
    """Return what a reference means; words may bring up a segment that is new."""
    if reference.argument.startswith("#"):
        return state.by_name(reference.argument)
    return state.named(reference.index)


def _is_unknown(state: DialogueState, reference: Reference) -> bool:
    """Now and then the tool does not find what was meant, and says so."""
    if reference.kind != "words" or state.rng.random() > 0.1:
        return False
    message = f"there is no {reference.argument} in picture 1."
    state.observe(say_error(message))
    state.answer(answers.error_answer(message))
    return True


def _kind_of(first: Reference, second: Reference) -> ReferenceKind:
    """Return the harder kind of two references."""
    order: tuple[ReferenceKind, ...] = ("context", "words", "name", "none")
    return next(kind for kind in order if kind in (first.kind, second.kind))
