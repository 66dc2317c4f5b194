"""One sentence about a picture: its things and their relations are found, the model words them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from lisa.captions.articles import with_agreeing_articles
from lisa.captions.things import NamedThing, find_things
from lisa.data.captions import CaptionRelation, caption_request, worth_saying
from lisa.data.colours import main_colours
from lisa.images import ImageSource, open_image
from lisa.models import EncodedImage
from lisa.pipeline import LisaPipeline
from lisa.relations import RelationPredictor, SceneGraph
from lisa.relations.features import features_of_masks
from lisa.tokens import REJECT_TOKEN, SEG_TOKEN

MAX_NEW_TOKENS = 60
MOST_SAID = 2
"""Relations of a sentence; training has up to three, of which a small model mixes things up."""

LEAST_SCORE = 0.7
"""Relations that are less probable are not said."""


@dataclass(frozen=True, eq=False)
class PictureCaption:
    """A sentence and what it was written from.

    Attributes:
        text: The sentence; empty if nothing was found in the picture.
        request: What the model was asked.
        graph: The things, named, and how they relate.
    """

    text: str
    request: str
    graph: SceneGraph


def caption_picture(
    pipeline: LisaPipeline,
    predictor: RelationPredictor,
    image: ImageSource,
    names: Sequence[str] | None = None,
    *,
    encoded: EncodedImage | None = None,
    things: Sequence[NamedThing] | None = None,
) -> PictureCaption:
    """Write a sentence about a picture.

    Args:
        pipeline: Of the model that finds the things and words the sentence.
        predictor: Of relations, for mask tokens of that model's segmenter.
        image: The picture.
        names: Of things that may be in it, such as its tags, the surest first; None asks the model
            for everything that it sees.
        encoded: What the pipeline made of the picture already, if it was asked about it.
        things: What `find_things` found in it by those names already.

    Raises:
        ImageError: If the picture cannot be read.
        DataError: If the predictor was made for another segmenter.
    """
    opened = open_image(image)
    encoded = encoded or pipeline.encode(opened)
    things = find_things(pipeline, encoded, names) if things is None else things
    graph = _relate(pipeline, predictor, encoded, things)
    sure = [
        CaptionRelation(one.subject, one.predicate, one.object)
        for one in graph.relations
        if one.score >= LEAST_SCORE
    ]
    said = worth_saying(sure, MOST_SAID)
    # What is known by name can be described, even where it could not be shown.
    called = [thing.name for thing in things] or list(names or ())
    if not called:
        return PictureCaption("", "", graph)
    if things:
        # One colour is enough: of several, a small model gives one thing that of another.
        first = said[0].subject if said else 0
        called[first] = _coloured(things[first], opened)
    request = caption_request(called, said)
    return PictureCaption(write_sentence(pipeline, encoded, request), request, graph)


def write_sentence(pipeline: LisaPipeline, image: EncodedImage, request: str) -> str:
    """Ask a model for a sentence; see `lisa.data.captions.caption_request`."""
    return _plain(pipeline(image, request, max_new_tokens=MAX_NEW_TOKENS).text)


def _relate(
    pipeline: LisaPipeline,
    predictor: RelationPredictor,
    image: EncodedImage,
    things: Sequence[NamedThing],
) -> SceneGraph:
    segments = [thing.segment for thing in things]
    picture = pipeline.model.promptable(image)
    features = features_of_masks(picture, [segment.mask for segment in segments])
    return predictor(segments, features, names=[thing.name for thing in things])


def _coloured(thing: NamedThing, image: Image.Image) -> str:
    """Return a thing's name with its colour before it, if it has one colour above all."""
    colours = main_colours(np.asarray(image)[thing.segment.mask])
    if len(colours) != 1 or colours[0] in thing.name.split():
        return thing.name
    return f"{colours[0]} {thing.name}"


def _plain(text: str) -> str:
    """Take out control tokens, for a caption points at nothing, and mend articles."""
    for token in (SEG_TOKEN, REJECT_TOKEN):
        text = text.replace(f" {token}", "").replace(token, "")
    return with_agreeing_articles(" ".join(text.split()))
