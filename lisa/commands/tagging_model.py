"""The arguments of the commands that load a tagging model."""

from __future__ import annotations

import argparse
from typing import Any


def add_tagging_arguments(
    parser: argparse.ArgumentParser, weights: str, default: str | None = None
) -> None:
    """Adds the arguments that choose and place a tagging model.

    Args:
        parser: Where to add them.
        weights: Names the released files that the command can use.
        default: The model that is taken where none is named; None if one has to be.
    """
    parser.add_argument(
        "images", metavar="IMAGE", nargs="+", help="pictures, folders of pictures, or patterns"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object a line and picture"
    )
    group = parser.add_argument_group("model")
    first = "" if default is None else f"{default} (the default), "
    group.add_argument(
        "--model",
        default=default,
        metavar="M",
        help=f"{first}{weights}, a hub id, or a folder that lisa saved",
    )
    group.add_argument(
        "--tag-list", metavar="FILE", help="names of the tags; default: beside the weights"
    )
    limits = group.add_mutually_exclusive_group()
    limits.add_argument(
        "--threshold", type=_probability, metavar="P", help="one threshold for all tags, 0 to 1"
    )
    limits.add_argument(
        "--thresholds",
        metavar="FILE",
        help="a threshold for each tag; default: beside the weights",
    )
    group.add_argument("--revision", metavar="REV", help="branch, tag or commit of a hub id")
    group.add_argument("--offline", action="store_true", help="use only what is on this machine")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    group.add_argument("--dtype", default="auto", help="auto, float32, bfloat16 or float16")


def split_words(words: str) -> list[str]:
    """Returns words that are separated by commas, without empty ones."""
    return [name for part in words.split(",") if (name := part.strip())]


def placement_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """Returns where and how a model is loaded, as every `from_pretrained` of tagging takes it."""
    return {
        "device": args.device,
        "dtype": args.dtype,
        "revision": args.revision,
        "offline": args.offline,
    }


def _probability(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number between 0 and 1")
    return number
