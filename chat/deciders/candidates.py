"""What could be done about a question, for models that cannot say it themselves: calls in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from chat.state import SessionSegment
from lisa.data.captions import WORDINGS
from lisa.tool_calls import ToolCall

_MENTION = re.compile(r"#\d{1,6}(?!\d)")
_IT = re.compile(r"\b(?:it|its|this|that|them|one)\b", re.IGNORECASE)
_HOW_MANY = re.compile(
    r"\bhow many ([\w -]+?)(?= (?:are|is|do|does|can|there|in|on)\b|[?.,]|$)", re.IGNORECASE
)


CUE = 1.5
"""How much likelier, in nats a token, a call is before a model is asked if the question uses the
words of it. A model tells calls from each other, but hardly whether one is needed: lisa-nano before
it knew tools found some call likelier by up to 1.2 for questions that need none."""

_SHOWN = r"segment|where (?:is|are)|show|point"
_CUE_TO_ANSWER = 0.5


@dataclass(frozen=True)
class Candidate:
    """A thing to do.

    Attributes:
        sentence: It in words, for a model to judge.
        call: It as a call; None is to answer without any.
        prior: How likely it is beforehand, as a logarithm.
    """

    sentence: str
    call: ToolCall | None
    prior: float = 0.0


_POINT = "Look at the picture and point at what is meant."


def candidates(
    question: str, segments: Sequence[SessionSegment], offered: frozenset[str]
) -> tuple[Candidate, ...]:
    """Return what could be done, to answer without a call first.

    Arguments come from the question: segments that it names or calls by their words (else the
    newest, if it says "it"), a relation, what to count.

    Args:
        question: Plain text.
        segments: Those of its picture, oldest first.
        offered: Names of the tools that there are.
    """
    names = _references(question, segments)
    calls = [
        Candidate(words, ToolCall(tool, given), CUE if _says(cue, question) else 0.0)
        for words, cue, tool, given in (*_of_the_picture(question, names), *_of_segments(names))
        if tool in offered
    ]
    # "Segment everything" and "show it up close" are not for the model itself.
    shows = _says(_SHOWN, question) and not any(one.prior for one in calls)
    return (Candidate(_POINT, None, _CUE_TO_ANSWER if shows else 0.0), *calls)


_Action: TypeAlias = tuple[str, str, str, dict[str, object]]
"""A sentence, a pattern of the words that people use for it, the tool and its arguments."""


def _of_the_picture(question: str, names: list[str]) -> list[_Action]:
    """Return what can be done in any picture."""
    relation = _relation(question)
    counted = _HOW_MANY.search(question)
    count = {"what": "count"} | ({"of": counted[1].strip()} if counted else {})
    directions = "left of, right of, above, below, behind or touching"
    spoken = ".*" if relation else r"relat\w+|arranged|touch\w*"
    return [
        (
            "List everything that is in the picture.",
            r"tags?|list|(?:what|which \w+) (?:is in|are in|do you see|can you see|are there)",
            "tag",
            {},
        ),
        (
            "Describe the whole picture in one sentence.",
            r"caption|describe (?:the|this) (?:picture|image|photo)|in (?:a|one) sentence",
            "caption",
            {},
        ),
        (
            "Find the masks of everything, of all things at once.",
            r"masks|(?:segment|outline|mask|find) (?:everything|all|every \w+)",
            "masks",
            {},
        ),
        ("Count how many there are.", r"how many|count|number of", "measure", count),
        (
            f"Find out what is {relation or directions} another thing.",
            spoken,
            "relate",
            _relate(relation, names),
        ),
    ]


def _of_segments(names: list[str]) -> list[_Action]:
    """Return what can be done with the segments that are meant."""
    found: list[_Action] = []
    if names:
        one: dict[str, object] = {"segment": names[0]}
        area, bigger, smaller = _measured("area", names[:1]), "bigger", "smaller"
        found += [
            ("Measure how large it is, its area.", "how (?:large|big)|area|size", "measure", area),
            ("Say which colour it has and where it is.", r"colou?rs?", "describe_region", one),
            ("Zoom in on it and show it up close.", r"zoom|close(?:r|-?up)?|crop", "crop", one),
            ("Make it bigger.", r"bigger|larger|grow|enlarge", "edit", {**one, "change": bigger}),
            ("Make it smaller.", r"smaller|shrink|tighter", "edit", {**one, "change": smaller}),
        ]
    if len(names) > 1:
        far, both = _measured("distance", names[:2]), _measured("overlap", names[:2])
        found += [
            ("Measure how far they are apart.", r"how far|distance|apart", "measure", far),
            ("Measure how much they overlap.", r"overlap\w*|in common", "measure", both),
        ]
    return found


def _says(cue: str, question: str) -> bool:
    return re.search(rf"\b(?:{cue})\b", question, re.IGNORECASE) is not None


def _measured(what: str, names: list[str]) -> dict[str, object]:
    return {"what": what, "segments": names}


def _relate(relation: str | None, names: Sequence[str]) -> dict[str, object]:
    given: dict[str, object] = {} if relation is None else {"relation": relation}
    if len(names) > 1:
        return {"subject": names[0], "object": names[1]}
    return {**given, "object": names[0]} if names else given


def _relation(question: str) -> str | None:
    """Return the relation that the question speaks of, the longest wording first."""
    spoken = [(words, name) for name, wordings in WORDINGS.items() for words in wordings]
    for words, name in sorted(spoken, key=lambda pair: -len(pair[0])):
        if re.search(rf"\b{re.escape(words)}\b", question, re.IGNORECASE):
            return name
    return None


def _references(question: str, segments: Sequence[SessionSegment]) -> list[str]:
    """Return the names of the segments that the question speaks of, in its order."""
    places = {found[0]: found.start() for found in reversed(list(_MENTION.finditer(question)))}
    for segment in segments:
        words = segment.what and re.search(
            rf"\b{re.escape(segment.what)}\b", question, re.IGNORECASE
        )
        if words and segment.name not in places:
            places[segment.name] = words.start()
    known = {segment.name for segment in segments}
    names = sorted((name for name in places if name in known), key=lambda name: places[name])
    if not names and segments and _IT.search(question):
        return [segments[-1].name]
    return names
