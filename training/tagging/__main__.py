"""Train a tagger on pictures of one's own.

    python -m training.tagging parse captions.jsonl --out tagged/ --keep 5000 --least 5
    python -m training.tagging train training/tagging/example.yaml steps=500

`parse` reads tags out of captions: it writes `pictures.jsonl` with the tags of each picture, and
`vocabulary.jsonl`, the frequent ones, for a person to look through. `train` goes on where an
interrupted run stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lisa.errors import LisaError
from training.tagging.caption_tags import PARSER, CaptionParser, frequent_tags
from training.tagging.records import read_pictures, vocabulary_lines, write_lines

_PICTURES, _VOCABULARY = "pictures.jsonl", "vocabulary.jsonl"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.tagging",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    parse = commands.add_parser("parse", help="write tags out of captions")
    parse.add_argument("pictures", type=Path, help="JSON lines of pictures with captions")
    parse.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    parse.add_argument(
        "--keep", type=int, default=5000, metavar="N", help="most tags (default: %(default)s)"
    )
    parse.add_argument(
        "--least",
        type=int,
        default=1,
        metavar="N",
        help="cut tags of fewer captions (default: %(default)s)",
    )
    parse.add_argument(
        "--parser", default=PARSER, metavar="NAME", help="spaCy pipeline (default: %(default)s)"
    )
    parse.set_defaults(run=_parse)
    train = commands.add_parser("train", help="train a tagger")
    train.add_argument("config", type=Path, help="YAML file of the settings")
    train.add_argument("words", nargs="*", metavar="NAME=VALUE", help="changes to them")
    train.set_defaults(run=_train)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 2 for a mistake that the message explains."""
    args = build_parser().parse_args(argv)
    try:
        args.run(args)
    except LisaError as error:
        print(f"training.tagging: error: {error}", file=sys.stderr)
        return 2
    return 0


def _parse(args: argparse.Namespace) -> None:
    pictures = read_pictures(args.pictures)
    captions = [caption for one in pictures for caption in one.captions]
    parsed = list(CaptionParser.load(args.parser)(captions))
    vocabulary = vocabulary_lines(frequent_tags(parsed, args.keep, args.least))
    kept = {line["name"] for line in vocabulary}
    tags = iter(parsed)
    lines = []
    for one in pictures:
        found = [tag.name for _ in one.captions for tag in next(tags) if tag.name in kept]
        lines.append(
            {
                "image": os.path.relpath(one.image, args.out),
                "captions": list(one.captions),
                "tags": list(dict.fromkeys([*one.tags, *found])),
            }
        )
    write_lines(args.out / _PICTURES, lines)
    write_lines(args.out / _VOCABULARY, vocabulary)
    print(f"wrote {len(lines)} pictures and {len(vocabulary)} tags into {args.out}")


def _train(args: argparse.Namespace) -> None:
    # Here, because they load torch, and `parse` needs none of it.
    from training.tagging.config import read_settings
    from training.tagging.run import train

    print(f"wrote {train(read_settings(args.config, args.words))}")


if __name__ == "__main__":
    sys.exit(main())
