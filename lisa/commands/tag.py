"""Says what is in pictures.

    lisa tag photo.jpg
    lisa tag "photos/*.jpg" --category object --without "grass, sky" --json
    lisa tag photos/ --model ram_plus_swin_large_14m.pth --vocab words.txt

Each picture gives one line: its tags from the surest to the least sure. With --vocab the words of a
file, one a line, are looked for; --clip names the text encoder that turns them into tags.
lisa-nano, the default, knows the things of generated scenes, their kinds and colours, and no words
of one's own.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lisa.commands.tagging_model import (
    add_tagging_arguments,
    placement_arguments,
    split_words,
)
from lisa.errors import ConfigError

if TYPE_CHECKING:
    from PIL import Image

    from lisa.tagging import Tagger

HELP = "say what is in pictures"
_WEIGHTS = "ram_plus_swin_large_14m.pth, ram_swin_large_14m.pth or tag2text_swin_14m.pth"
_DEFAULT = "lisa-nano"
_CLIP = "openai/clip-vit-base-patch16"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lisa tag`."""
    add_tagging_arguments(parser, _WEIGHTS, _DEFAULT)
    which = parser.add_argument_group("which tags")
    which.add_argument(
        "--category",
        action="append",
        metavar="NAME",
        help="only tags of this category, such as object, kind, action or attribute; repeatable",
    )
    which.add_argument(
        "--without", default="", metavar="TAGS", help="tags to leave out, separated by commas"
    )
    words = parser.add_argument_group("words of one's own")
    words.add_argument("--vocab", metavar="FILE", help="words to look for, one a line")
    words.add_argument(
        "--descriptions", metavar="FILE", help="JSON: a list of {word: [sentence, ...]}"
    )
    words.add_argument(
        "--templates",
        metavar="FILE",
        help="sentences with {} to put a word into, one a line; default: a few of our own",
    )
    words.add_argument(
        "--clip", default=_CLIP, metavar="M", help="its text encoder; default: %(default)s"
    )
    words.add_argument("--keep", action="store_true", help="look for the model's own tags too")


def run(args: argparse.Namespace) -> int:
    """Loads the model and prints the tags of each picture."""
    # The cheap checks come first: a wrong path should not cost a minute of loading.
    from lisa.commands.pictures import each_picture, find_pictures

    if args.keep and args.vocab is None and args.descriptions is None:
        raise ConfigError("--keep goes with --vocab or --descriptions: add one, or leave it out.")
    if args.templates is not None and args.vocab is None:
        raise ConfigError("--templates goes with --vocab: add it, or leave the templates out.")
    paths = find_pictures(args.images)
    tagger = _load(args)
    if args.category or args.without:
        tagger = tagger.restricted(categories=args.category, without=split_words(args.without))

    def line(place: int, path: Path, image: Image.Image) -> str:
        tags = sorted(tagger([image])[0], key=lambda tag: -tag.probability)
        if args.json:
            return json.dumps(
                {"image": str(path), "tags": [asdict(tag) for tag in tags]}, ensure_ascii=False
            )
        names = ", ".join(f"{tag.name} {tag.probability:.2f}" for tag in tags)
        return f"{path}: {names or 'no tag is sure enough'}"

    return each_picture(paths, line)


def _load(args: argparse.Namespace) -> Tagger:
    from lisa.tagging import Tagger, TextEncoder

    own = args.vocab is not None or args.descriptions is not None
    tagger = Tagger.from_pretrained(
        args.model,
        tag_list=() if own and not args.keep else args.tag_list,
        thresholds=args.thresholds if args.threshold is None else args.threshold,
        **placement_arguments(args),
    )
    if not own:
        return tagger
    # Before CLIP is fetched for nothing.
    tagger.require_any_words()
    encoder = TextEncoder.from_pretrained(
        args.clip, device=args.device, dtype=args.dtype, offline=args.offline
    )
    threshold = {} if args.threshold is None else {"threshold": args.threshold}
    if args.vocab is not None:
        tagger = tagger.with_words(
            args.vocab, encoder, templates=args.templates, keep=args.keep, **threshold
        )
    if args.descriptions is not None:
        # What --vocab named stays, whatever --keep says of the model's own tags.
        tagger = tagger.with_descriptions(args.descriptions, encoder, keep=True, **threshold)
    return tagger
