"""Finds everything in pictures: one mask for each thing, without being asked for any of them.

    lisa masks photo.jpg --out found
    lisa masks "photos/*.jpg" --json --seconds 20 > masks.jsonl

Pictures are files, folders or patterns. With --json one line is printed for each picture: its name,
size, and the segments with boxes (xyxy in pixels), scores and masks (COCO run lengths), the largest
first. Into --out goes NAME.png for each picture, with the masks drawn in, and NAME.json.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lisa.commands.output_files import make_folder, write_results
from lisa.commands.pictures import each_picture, find_pictures, output_names
from lisa.commands.segmenting import (
    add_segmenter_arguments,
    describe_place,
    describe_time,
    find_masks,
    open_segmenter,
)

if TYPE_CHECKING:
    from PIL import Image

HELP = "find everything in pictures and show it as masks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lisa masks`."""
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="pictures, folders of pictures, or patterns"
    )
    parser.add_argument("--out", metavar="DIR", help="folder for drawings and JSON files")
    parser.add_argument("--json", action="store_true", help="print one JSON line for each picture")
    add_segmenter_arguments(parser, "--model")


def run(args: argparse.Namespace) -> int:
    """Finds the masks of each picture and prints or writes them."""
    paths = find_pictures(args.images)
    folder = None if args.out is None else make_folder(args.out)
    names = output_names(paths)
    opened = open_segmenter(args, asks=False)

    from lisa.relations import SceneGraph
    from lisa.visualize import draw_segments

    def work(place: int, path: Path, image: Image.Image) -> str:
        found = find_masks(opened.encode(image), args.seconds)
        graph = SceneGraph(found.segments, ()).to_dict()
        record = {
            "image": str(path),
            "image_size": [image.height, image.width],
            "complete": found.is_complete,
            "segments": graph["segments"],
        }
        if folder is not None:
            drawing = draw_segments(image, found.segments)
            files = {".png": partial(drawing.save, format="PNG")}
            write_results(folder / names[place], record, files)
        if args.json:
            return json.dumps(record)
        count = len(found.segments)
        things = "1 thing" if count == 1 else f"{count or 'no'} things"
        lines = [f"{path}: {things}{describe_time(found)}"]
        lines += [f"  {n}: {describe_place(one)}" for n, one in enumerate(found.segments)]
        return "\n".join(lines)

    return each_picture(paths, work)
