"""Writes a released LISA checkpoint in this project's own layout (safetensors).

    lisa convert xinlai/LISA-7B-v1 weights/lisa-7b

Every key of the release is used or named; the folder then loads without a conversion.
"""

from __future__ import annotations

import argparse

from lisa.devices import DTYPE_NAMES

HELP = "write a released checkpoint in this project's layout"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lisa convert`."""
    parser.add_argument("source", metavar="SRC", help="hub id or folder of a released checkpoint")
    parser.add_argument("target", metavar="DST", help="folder to write")
    parser.add_argument("--revision", metavar="REV", help="branch, tag or commit of a hub id")
    parser.add_argument("--offline", action="store_true", help="use only what is on this machine")
    parser.add_argument(
        "--vision-tower", metavar="PATH", help="folder of the CLIP tower that the checkpoint needs"
    )
    parser.add_argument("--template", metavar="NAME", help="conversation template")
    parser.add_argument("--dtype", choices=DTYPE_NAMES, help="of the backbone (default: as stored)")
    parser.add_argument(
        "--segmenter-dtype",
        choices=DTYPE_NAMES,
        help="behind the language model (default: as stored)",
    )


def run(args: argparse.Namespace) -> int:
    """Converts and says what was written."""
    from lisa.released import convert

    convert(
        args.source,
        args.target,
        vision_tower=args.vision_tower,
        dtype=args.dtype,
        segmenter_dtype=args.segmenter_dtype,
        template=args.template,
        revision=args.revision,
        offline=args.offline,
    )
    print(f"Wrote {args.target}; use it with: lisa segment IMAGE QUESTION --model {args.target}")
    return 0
