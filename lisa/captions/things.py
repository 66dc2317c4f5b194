"""The things of a picture with their names: asked one by one, or in the model's own list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lisa.images import ImageSource
from lisa.masks import encode_rle
from lisa.models import EncodedImage
from lisa.pipeline import LisaPipeline
from lisa.relations.duplicates import mask_ious
from lisa.tagging import Tagger
from lisa.types import Conversation, Segment

LIST_EVERYTHING = "What is in the picture?"
MOST_THINGS = 6
"""More names than these are not asked for: each costs an answer."""

_ANSWER_TOKENS = 48
_SAME = 0.5
"""Two masks with a higher IoU show the same thing."""


@dataclass(frozen=True, eq=False)
class NamedThing:
    """A thing of a picture.

    Attributes:
        name: What it is, without an article.
        segment: Where it is.
    """

    name: str
    segment: Segment


def object_names(tagger: Tagger, image: ImageSource) -> list[str]:
    """Return the tags of a picture that are things, the surest first.

    Raises:
        ImageError: If the picture cannot be read.
    """
    tags = [tag for tag in tagger([image])[0] if tag.category == "object"]
    return [tag.name for tag in sorted(tags, key=lambda tag: -tag.probability)]


def find_things(
    pipeline: LisaPipeline, image: EncodedImage, names: Sequence[str] | None = None
) -> list[NamedThing]:
    """Find things of a picture; of two that have the same mask the surer one stays.

    Args:
        pipeline: Of a model that answers questions.
        image: The picture, encoded by it.
        names: What may be there, the surest first; the model is asked for each of the first
            `MOST_THINGS`. None asks it for everything that it sees.
    """
    asked: Sequence[str | None]
    asked = [None] if names is None else [*dict.fromkeys(names)][:MOST_THINGS]
    if not asked:
        return []
    questions = [LIST_EVERYTHING if name is None else f"Segment the {name}." for name in asked]
    conversations = [Conversation().ask(question, image_index=0) for question in questions]
    answers = pipeline.answer(
        [image], conversations, [0] * len(questions), max_new_tokens=_ANSWER_TOKENS
    )
    found = [
        NamedThing(name or segment.phrase or "", segment)
        for name, answer in zip(asked, answers, strict=True)
        for segment in (answer.segments if name is None else answer.segments[:1])
        if segment.status == "found" and (name or segment.phrase)
    ]
    return _without_same(found)


def _without_same(things: Sequence[NamedThing]) -> list[NamedThing]:
    """Return the things that neither share a mask nor a name with a surer one, in their order."""
    masks = [encode_rle(thing.segment.mask) for thing in things]
    ious = mask_ious(masks, masks)
    order = sorted(range(len(things)), key=lambda place: -things[place].segment.score)
    kept: list[int] = []
    for place in order:
        same_name = any(things[place].name == things[other].name for other in kept)
        if not same_name and not any(ious[place, other] > _SAME for other in kept):
            kept.append(place)
    return [things[place] for place in sorted(kept)]


def name_segments(
    segments: Sequence[Segment], things: Sequence[NamedThing]
) -> tuple[str | None, ...]:
    """Name segments that somebody else found.

    Args:
        segments: Masks of one picture.
        things: Of the same picture.

    Returns:
        For each segment the name of the thing that it shows, which has the same mask by more than
        one half (IoU); None where there is none. A thing names one segment at most.
    """
    ious = mask_ious(
        [encode_rle(segment.mask) for segment in segments],
        [encode_rle(thing.segment.mask) for thing in things],
    )
    names: list[str | None] = [None] * len(segments)
    for column, thing in enumerate(things):
        if len(segments):
            best = int(ious[:, column].argmax())
            if ious[best, column] > _SAME and names[best] is None:
                names[best] = thing.name
    return tuple(names)
