"""Writes a sentence about pictures, from their tags or from tags that you give.

    lisa caption photo.jpg
    lisa caption photo.jpg --model tag2text_swin_14m.pth
    lisa caption photo.jpg --model tag2text_swin_14m.pth --tags "dog, sofa"

Each picture gives one line. lisa-nano, the default, finds the things of its tags, says how they
relate, and words that in one sentence. With Tag2Text --sample draws the words instead of taking the
likeliest sentence; the same --seed draws the same sentence.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lisa.commands.captioning import nano_writer
from lisa.commands.tagging_model import (
    add_tagging_arguments,
    placement_arguments,
    split_words,
)
from lisa.errors import ConfigError
from lisa.hub import NANO

if TYPE_CHECKING:
    from PIL import Image

HELP = "write a sentence about pictures"
_WEIGHTS = "tag2text_swin_14m.pth"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lisa caption`."""
    add_tagging_arguments(parser, _WEIGHTS, NANO)
    group = parser.add_argument_group("caption")
    group.add_argument("--tags", metavar="TAGS", help="what to write about, separated by commas")
    group.add_argument("--sample", action="store_true", help="draw the words")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    group.add_argument(
        "--bert-vocab",
        metavar="FILE",
        help="vocab.txt of bert-base-uncased; default: beside the weights, then the hub",
    )


def run(args: argparse.Namespace) -> int:
    """Loads the model and prints a sentence about each picture."""
    # The cheap checks come first: a wrong path should not cost a minute of loading.
    from lisa.commands.pictures import each_picture, find_pictures

    given = None if args.tags is None else _split(args.tags)
    paths = find_pictures(args.images)
    write = nano_writer(args, given, _WEIGHTS) if args.model == NANO else _tag2text(args, given)

    def line(place: int, path: Path, image: Image.Image) -> str:
        found = write(image)
        if args.json:
            return json.dumps({"image": str(path), **found}, ensure_ascii=False)
        return f"{path}: {found['text'] or 'nothing was found'}"

    return each_picture(paths, line)


def _tag2text(
    args: argparse.Namespace, given: list[str] | None
) -> Callable[[Image.Image], dict[str, Any]]:
    from lisa.tagging import BeamSearch, Captioner, NucleusSampling

    captioner = Captioner.from_pretrained(
        args.model,
        tag_list=args.tag_list if given is None else (),
        thresholds=args.thresholds if args.threshold is None else args.threshold,
        vocabulary=args.bert_vocab,
        **placement_arguments(args),
    )
    search = NucleusSampling(seed=args.seed) if args.sample else BeamSearch()

    def write(image: Image.Image) -> dict[str, Any]:
        (caption,) = captioner([image], None if given is None else [given], search)
        return asdict(caption)

    return write


def _split(tags: str) -> list[str]:
    names = split_words(tags)
    if not names:
        raise ConfigError('--tags names nothing: give words such as "dog, sofa", or leave it out.')
    return names
