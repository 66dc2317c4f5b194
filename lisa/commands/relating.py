"""What `lisa relate` does with a picture: three ways from pixels to a scene graph."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from lisa.commands.segmenting import (
    OpenSegmenter,
    find_masks,
    open_segmenter,
)
from lisa.errors import ConfigError, PromptError
from lisa.hub import NANO

if TYPE_CHECKING:
    from PIL import Image

    from lisa.models import EncodedImage
    from lisa.pipeline import LisaPipeline
    from lisa.relations import RelationPredictor, SceneGraph
    from lisa.relations.automatic_masks import AutomaticMasks
    from lisa.relations.panoptic import PanopticSegmenter
    from lisa.types import Segment

Related: TypeAlias = "tuple[SceneGraph, AutomaticMasks | None]"
"""The graph, and the automatic masks where it was made from such."""

Namer: TypeAlias = (
    "Callable[[Image.Image, EncodedImage | None, AutomaticMasks], tuple[str | None, ...] | None]"
)
"""What the masks of a picture show, as far as it is known."""

_SAME_THING = 0.8
"""IoU above which an automatic mask shows the subject itself."""


def open_relater(args: argparse.Namespace) -> Callable[[Image.Image], Related]:
    """Loads what `lisa relate` names, and returns what relates the things of a picture.

    Raises:
        CheckpointError: Weights cannot be found, read, or do not fit.
        ConfigError: Options or weights do not fit each other.
        DeviceError: Device or number type do not exist here.
    """
    from lisa.relations.checkpoint import is_classed

    two_stages = is_classed(args.model, offline=args.offline)
    _check_options(args, two_stages)
    if two_stages:
        return _named_relater(args)

    from lisa.relations import RelationPredictor

    predictor = RelationPredictor.from_pretrained(
        args.model, device=args.device, offline=args.offline
    )
    opened = open_segmenter(args, asks=True)
    _check_fit(predictor, opened, args)
    if args.panoptic is None:
        return partial(_relate_everything, predictor, opened, _namer(opened, args), args)

    from lisa.relations.panoptic import PanopticSegmenter

    panoptic = PanopticSegmenter.from_pretrained(
        args.panoptic, args.device, args.dtype, offline=args.offline
    )
    return partial(_relate_panoptic, predictor, opened, panoptic, args)


def _check_options(args: argparse.Namespace, two_stages: bool) -> None:
    """Accepts no option that would change nothing."""
    given = {
        "--seconds": args.seconds is not None and (two_stages or args.panoptic is not None),
        "--segmenter": args.segmenter != NANO and two_stages,
        "--revision": args.revision is not None and two_stages,
    }
    unused = [option for option, is_given in given.items() if is_given]
    if unused:
        raise ConfigError(
            f"{unused[0]} is about automatic masks, and the things here are segments of a panoptic "
            "model: leave it out."
        )


def _named_relater(args: argparse.Namespace) -> Callable[[Image.Image], Related]:
    from lisa.relations.scene_graphs import SceneGraphPredictor

    predictor = SceneGraphPredictor.from_pretrained(
        args.model, args.panoptic, args.device, args.dtype, offline=args.offline
    )

    def relate(image: Image.Image) -> Related:
        return predictor(image, subject=args.subject, top=args.top), None

    return relate


def _check_fit(
    predictor: RelationPredictor, opened: OpenSegmenter, args: argparse.Namespace
) -> None:
    wanted, given = predictor.model.config.feature_size, opened.segmenter.prompt_dim
    if wanted != given:
        raise ConfigError(
            f"the relation weights {args.model} read mask tokens of {wanted} numbers, and "
            f"{args.segmenter} gives {given}: name the segmenter that they were trained with in "
            "--segmenter (for ram_epoch12.pth: sam_vit_h_4b8939.pth), or other weights in --model."
        )
    if args.subject is not None and opened.pipeline is None and args.panoptic is None:
        raise ConfigError(
            f"{args.segmenter} understands no words, so it cannot find {args.subject!r}: leave "
            "--subject out, name a model that answers questions in --segmenter, or one that names "
            "things in --panoptic."
        )


def _relate_panoptic(
    predictor: RelationPredictor,
    opened: OpenSegmenter,
    panoptic: PanopticSegmenter,
    args: argparse.Namespace,
    image: Image.Image,
) -> Related:
    """Relates panoptic segments by their mask tokens."""
    from lisa.relations.features import features_of_masks
    from lisa.relations.scene_graphs import find_named

    things = panoptic(image)
    names = things.names or ()
    subject = None if args.subject is None else find_named(names, args.subject)
    features = features_of_masks(opened.encode(image), [one.mask for one in things.segments])
    graph = predictor(
        things.segments, features, names=names, subject=subject, top=args.top, one_per_pair=True
    )
    return graph, None


def _relate_everything(
    predictor: RelationPredictor,
    opened: OpenSegmenter,
    namer: Namer,
    args: argparse.Namespace,
    image: Image.Image,
) -> Related:
    """Relates automatic masks; a subject in words is segmented and stands before them."""
    encoded = None if opened.pipeline is None else opened.pipeline.encode(image)
    picture = opened.encode(image, encoded)
    if args.subject is None:
        found = find_masks(picture, args.seconds)
        graph = predictor(
            found.segments,
            found.features,
            names=namer(image, encoded, found),
            top=args.top,
            one_per_pair=True,
        )
        return graph, found

    import torch

    from lisa.relations.duplicates import without
    from lisa.relations.features import features_of_masks

    assert opened.pipeline is not None
    assert encoded is not None
    chosen = _find_subject(opened.pipeline, encoded, args.subject)
    found = find_masks(picture, args.seconds)
    others = without(found.segments, chosen, _SAME_THING)
    features = torch.cat([features_of_masks(picture, [chosen.mask]), found.features[others]])
    segments = [chosen, *(found.segments[i] for i in others)]
    names = [args.subject.strip(), *(None for _ in others)]
    return predictor(segments, features, names=names, subject=0, top=args.top), found


def _namer(opened: OpenSegmenter, args: argparse.Namespace) -> Namer:
    """Returns what names automatic masks: with lisa-nano its tagger and its answers, else none."""
    pipeline = opened.pipeline
    if pipeline is None or args.segmenter != NANO:
        return lambda image, encoded, found: None

    from lisa.captions import find_things, name_segments, object_names
    from lisa.tagging import Tagger

    tagger = Tagger.from_pretrained(NANO, device=args.device, offline=args.offline)

    def name(
        image: Image.Image, encoded: EncodedImage | None, found: AutomaticMasks
    ) -> tuple[str | None, ...]:
        assert encoded is not None
        things = find_things(pipeline, encoded, object_names(tagger, image))
        return name_segments(found.segments, things)

    return name


def _find_subject(pipeline: LisaPipeline, image: EncodedImage, words: str) -> Segment:
    answer = pipeline(image, f"Segment {words.strip().rstrip('.')}.")
    for segment in answer.segments:
        if segment.status == "found":
            return segment
    raise PromptError(
        f"{words!r} was not found: describe it in other words, or leave --subject out."
    )
