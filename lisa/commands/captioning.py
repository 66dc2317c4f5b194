"""What `lisa caption` does with lisa-nano: tags, where they are, how they relate, one sentence."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lisa.commands.tagging_model import placement_arguments
from lisa.errors import ConfigError
from lisa.hub import NANO

if TYPE_CHECKING:
    from PIL import Image

_MOST_SAID = 20


def nano_writer(
    args: argparse.Namespace, given: Sequence[str] | None, weights: str
) -> Callable[[Image.Image], dict[str, Any]]:
    """Loads lisa-nano and what belongs to it.

    Args:
        args: Of the command.
        given: Tags to write about; None looks for them.
        weights: The file that understands the other options.

    Returns:
        What writes about a picture: text, names of the things, relations in words.

    Raises:
        CheckpointError: Weights cannot be read.
        ConfigError: An option would change nothing.
        DeviceError: Device or number type do not exist here.
    """
    _check_options(args, given, weights)
    from lisa.captions import caption_picture, object_names
    from lisa.pipeline import LisaPipeline
    from lisa.relations import RelationPredictor
    from lisa.tagging import Tagger

    placement = placement_arguments(args)
    pipeline = LisaPipeline.from_pretrained(NANO, **placement)
    predictor = RelationPredictor.from_pretrained(NANO, device=args.device)
    tagger = None
    if given is None:
        tagger = Tagger.from_pretrained(NANO, thresholds=args.threshold, **placement)

    def write(image: Image.Image) -> dict[str, Any]:
        names = given if tagger is None else object_names(tagger, image)
        found = caption_picture(pipeline, predictor, image, names)
        said = [found.graph.sentence(one) for one in found.graph.relations[:_MOST_SAID]]
        return {"text": found.text, "tags": list(names or ()), "relations": said}

    return write


def _check_options(args: argparse.Namespace, given: Sequence[str] | None, weights: str) -> None:
    """Accepts no option that would change nothing."""
    options = {
        "--tag-list": args.tag_list is not None,
        "--thresholds": args.thresholds is not None,
        "--threshold": args.threshold is not None and given is not None,
        "--sample": args.sample,
        "--seed": args.seed != 0,
        "--bert-vocab": args.bert_vocab is not None,
        "--revision": args.revision is not None,
    }
    unused = [option for option, is_given in options.items() if is_given]
    if unused:
        raise ConfigError(
            f"{unused[0]} changes nothing about a sentence of {NANO}: leave it out, or name "
            f"{weights} in --model."
        )
