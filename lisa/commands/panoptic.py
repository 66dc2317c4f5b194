"""Divides pictures into segments with class names: every pixel belongs to one thing at most.

    lisa panoptic photo.jpg --model facebook/mask2former-swin-base-coco-panoptic --out found
    lisa panoptic photos --model weights/mask2former --json > segments.jsonl

Pictures are files, folders or patterns. With --json one line is printed for each picture: its name,
size, and the segments with names, boxes (xyxy in pixels), scores and masks (COCO run lengths), the
largest first. Into --out goes NAME.png for each picture, with the segments drawn in, and NAME.json.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lisa.commands.output_files import make_folder, write_results
from lisa.commands.pictures import each_picture, find_pictures, output_names
from lisa.commands.segmenting import describe_place
from lisa.errors import ConfigError

if TYPE_CHECKING:
    from PIL import Image

HELP = "divide pictures into segments with class names"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lisa panoptic`."""
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="pictures, folders of pictures, or patterns"
    )
    parser.add_argument(
        "--model", metavar="NAME", help="hub id or folder of a Mask2Former or OneFormer"
    )
    parser.add_argument("--revision", metavar="REV", help="branch, tag or commit of a hub id")
    parser.add_argument("--offline", action="store_true", help="use only what is on this machine")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16 or float16")
    parser.add_argument("--out", metavar="DIR", help="folder for drawings and JSON files")
    parser.add_argument("--json", action="store_true", help="print one JSON line for each picture")


def run(args: argparse.Namespace) -> int:
    """Divides each picture and prints or writes the segments."""
    if args.model is None:
        raise ConfigError(
            "panoptic segments need weights that do not come with this program: give --model with "
            "a hub id such as facebook/mask2former-swin-base-coco-panoptic, or a folder of such."
        )
    paths = find_pictures(args.images)
    folder = None if args.out is None else make_folder(args.out)
    names = output_names(paths)

    from lisa.relations.drawing import draw_scene_graph
    from lisa.relations.panoptic import PanopticSegmenter

    segmenter = PanopticSegmenter.from_pretrained(
        args.model,
        device=args.device,
        dtype=args.dtype,
        revision=args.revision,
        offline=args.offline,
    )

    def work(place: int, path: Path, image: Image.Image) -> str:
        graph = segmenter(image)
        record = {
            "image": str(path),
            "image_size": [image.height, image.width],
            "segments": graph.to_dict()["segments"],
        }
        if folder is not None:
            drawing = draw_scene_graph(image, graph)
            files = {".png": partial(drawing.save, format="PNG")}
            write_results(folder / names[place], record, files)
        if args.json:
            return json.dumps(record)
        lines = [
            f"  {graph.name(number)}: {describe_place(one)}"
            for number, one in enumerate(graph.segments)
        ]
        return "\n".join([f"{path}: {len(lines)} segments", *lines])

    return each_picture(paths, work)
