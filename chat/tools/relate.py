"""The tool that says how the things of a picture relate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from chat.state import SessionSegment
from chat.tools.contract import Tool, ToolArguments, ToolResult, ToolScene
from chat.tools.references import MAX_REFERENCE, REFERENCE
from chat.tools.things import Finder, Thing
from lisa.data.captions import WORDINGS, CaptionRelation, worth_saying
from lisa.data.scenes import MIRRORS, scene_relations
from lisa.errors import DataError
from lisa.observations import RelationWords, say_relations

if TYPE_CHECKING:
    from chat.workbench import Workbench

MOST_SAID = 4
LEAST_SCORE = 0.5
"""Relations that are less probable do not hold."""

_DIRECTIONS = ("left of", "right of", "above", "below")
_ALSO_CALLED = {
    "left": "left of", "right": "right of", "over": "above", "on top of": "above",
    "beneath": "below", "underneath": "below", "next to": "touching", "beside": "touching",
    "touches": "touching", "touch": "touching", "in": "inside", "before": "in front of",
}  # fmt: skip


class RelateArguments(ToolArguments):
    """Which relations; without arguments the surest of all."""

    subject: str | None = Field(
        default=None,
        description=f"What relates. {REFERENCE}",
        min_length=1,
        max_length=MAX_REFERENCE,
    )
    relation: str | None = Field(
        default=None, description='Such as "left of".', min_length=1, max_length=MAX_REFERENCE
    )
    object: str | None = Field(
        default=None,
        description=f"What it relates to. {REFERENCE}",
        min_length=1,
        max_length=MAX_REFERENCE,
    )


@dataclass(frozen=True)
class _Found:
    """A relation between places of a list of things."""

    subject: int
    predicate: str
    object: int
    score: float


class RelateTool(Tool[RelateArguments]):
    """Relates segments and what is found by name."""

    name = "relate"
    description = "Say how things relate, such as what is left of, in front of or touching another."
    arguments = RelateArguments

    def run(self, arguments: RelateArguments, scene: ToolScene) -> ToolResult:
        """Relate the things of the picture.

        Raises:
            DataError: If subject, object or relation do not exist.
        """
        finder, bench = Finder(scene), scene.workbench
        wanted = None
        if arguments.relation is not None:
            wanted = _predicate(arguments.relation, (*bench.relations.predicates, *_DIRECTIONS))
        subject, target = (
            None if one is None else finder.find_here(one)
            for one in (arguments.subject, arguments.object)
        )
        things, ends = _with_ends(finder.things(), (subject, target))
        held = _holding(bench, scene, things, wanted)
        chosen = _chosen(held, wanted, *ends)
        said, data = [], []
        for one in chosen:
            first, second = finder.named(things[one.subject]), finder.named(things[one.object])
            said.append(RelationWords(first.label, one.predicate, second.label))
            data.append(
                {
                    "subject": first.name,
                    "predicate": one.predicate,
                    "object": second.name,
                    "score": one.score,
                }
            )
        return ToolResult(say_relations(said), {"relations": data}, finder.new)


def _predicate(words: str, known: Sequence[str]) -> str:
    """Return the predicate that words mean.

    Raises:
        DataError: If there is no such relation.
    """
    asked = " ".join(words.lower().strip(" .?").split())
    for start in ("is ", "are ", "to the ", "on the ", "at the "):
        asked = asked.removeprefix(start)
    names = {name: name for name in known}
    names |= {wording: name for name, all_of in WORDINGS.items() for wording in all_of}
    found = names.get(asked) or _ALSO_CALLED.get(asked)
    if found is None or found not in known:
        some = ", ".join(dict.fromkeys(known))
        raise DataError(f"there is no relation {words[:40]!r}: choose among {some[:400]}.")
    return found


def _with_ends(
    things: list[Thing], asked: Iterable[SessionSegment | None]
) -> tuple[list[Thing], list[int | None]]:
    """Return the things with those that were asked for, and the places of these.

    One that was asked for takes the place of the thing that shows the same under another name.
    """
    ends: list[int | None] = []
    for segment in asked:
        if segment is None:
            ends.append(None)
            continue
        names = [thing.known.name if thing.known else None for thing in things]
        if segment.name not in names:
            things = [*things, Thing(segment.segment, segment.what, segment)]
            names.append(segment.name)
        ends.append(names.index(segment.name))
    return things, ends


def _holding(
    bench: Workbench, scene: ToolScene, things: Sequence[Thing], wanted: str | None
) -> list[_Found]:
    """Return all relations that hold, the surest first.

    Directions are read off the masks by the very definitions that relation weights learn from:
    they are exact there, and people see at once where a model is wrong. The rest is the model's.
    """
    if len(things) < 2:
        return []
    masks = [thing.segment.mask for thing in things]
    with bench.lock:
        predictor = bench.relations
        known = predictor.predicates
        features = bench.features(scene.picture, masks)
        segments = [thing.segment for thing in things]
        graph = predictor(segments, features, top=len(known) * len(things) ** 2)
    scores = {(one.subject, one.predicate, one.object): one.score for one in graph.relations}
    scores = _both_ways(scores)
    exact = [one for one in scene_relations(masks) if one.predicate in _DIRECTIONS]
    found = [
        _Found(*key, score)
        for key, score in scores.items()
        if key[1] not in _DIRECTIONS and score >= LEAST_SCORE
    ]
    if wanted in _DIRECTIONS or set(_DIRECTIONS) <= set(known):
        found += [
            _Found(*one, scores.get((one.subject, one.predicate, one.object), 1.0)) for one in exact
        ]
    return sorted(found, key=lambda one: -one.score)


def _both_ways(scores: Mapping[tuple[int, str, int], float]) -> dict[tuple[int, str, int], float]:
    """Return scores in which a relation is as sure as what it is seen from the other side."""
    mirrors: dict[str, str] = {str(one): other for one, other in MIRRORS.items()}
    return {
        (first, name, second): max(score, scores.get((second, mirrors.get(name, ""), first), score))
        for (first, name, second), score in scores.items()
    }


def _chosen(
    held: Sequence[_Found], wanted: str | None, subject: int | None, target: int | None
) -> list[_Found]:
    kept = [
        one
        for one in held
        if wanted in (None, one.predicate)
        and subject in (None, one.subject)
        and target in (None, one.object)
    ]
    if wanted is not None or (subject is not None and target is not None):
        return kept[:MOST_SAID]
    if subject is not None or target is not None:
        pairs = {(one.subject, one.object): one for one in reversed(kept)}
        return [one for one in kept if pairs[one.subject, one.object] is one][:MOST_SAID]
    places = {(one.subject, one.predicate, one.object): one for one in kept}
    said = [CaptionRelation(one.subject, one.predicate, one.object) for one in kept]
    return [places[one.subject, one.predicate, one.object] for one in worth_saying(said, MOST_SAID)]
