"""Says how the things in pictures relate: finds everything, then relates each to each other.

    lisa relate photo.jpg
    lisa relate photo.jpg --model ram_epoch12.pth --segmenter sam_vit_h_4b8939.pth --top 10
    lisa relate photos --model weights/relations --json > relations.jsonl
    lisa relate photo.jpg --model weights/relations --subject "the dog" --out found
    lisa relate photo.jpg --model runs/psg/model --panoptic weights/mask2former

Pictures are files, folders or patterns. Things are numbered, the largest first; what lisa-nano, the
default, knows by name has one. With --subject only the relations of the thing that these words
point at are given. With --panoptic things are the segments of that model and have names; weights
from `python -m training.relations` always relate such segments. With --json one line is printed for
each picture. Into --out go for each picture NAME.png (masks and arrows drawn in), NAME_graph.png
and NAME.dot (the graph, also for Graphviz) and NAME.json.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lisa.commands.output_files import make_folder, write_results
from lisa.commands.pictures import each_picture, find_pictures, output_names
from lisa.commands.segmenting import add_segmenter_arguments, describe_time
from lisa.errors import ConfigError
from lisa.hub import NANO

if TYPE_CHECKING:
    from PIL import Image

    from lisa.relations import SceneGraph

HELP = "say how the things in pictures relate to each other"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lisa relate`."""
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="pictures, folders of pictures, or patterns"
    )
    parser.add_argument(
        "--model",
        default=NANO,
        metavar="WEIGHTS",
        help="relation weights: those of lisa-nano (the default), Relate-Anything's "
        "ram_epoch12.pth, a folder saved by this project, or a hub id of such a folder",
    )
    parser.add_argument(
        "--panoptic",
        metavar="NAME",
        help="hub id or folder of a Mask2Former or OneFormer whose segments and names are used "
        "(default: the one that the weights were trained with, if there is one)",
    )
    parser.add_argument(
        "--subject", metavar="WORDS", help='relate only this thing, such as "the dog"'
    )
    parser.add_argument(
        "--top", type=_count, default=20, metavar="K", help="most relations (default: %(default)s)"
    )
    parser.add_argument("--out", metavar="DIR", help="folder for drawings, graphs and JSON files")
    parser.add_argument("--json", action="store_true", help="print one JSON line for each picture")
    add_segmenter_arguments(parser, "--segmenter")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Relates the things of each picture and prints or writes the relations."""
    if args.subject is not None and not args.subject.strip():
        raise ConfigError('--subject is empty: name a thing, such as "the dog", or leave it out.')
    paths = find_pictures(args.images)
    folder = None if args.out is None else make_folder(args.out)
    names = output_names(paths)

    from lisa.commands.relating import open_relater
    from lisa.relations.plot import to_dot

    relate = open_relater(args)

    def work(place: int, path: Path, image: Image.Image) -> str:
        graph, found = relate(image)
        record = {
            "image": str(path),
            "image_size": [image.height, image.width],
            "complete": found is None or found.is_complete,
            **graph.to_dict(),
        }
        if folder is not None:
            files = _drawings(image, graph)
            files[".dot"] = lambda file: file.write(to_dot(graph).encode())
            write_results(folder / names[place], record, files)
        if args.json:
            return json.dumps(record)
        told = "" if found is None else describe_time(found)
        head = f"{path}: {len(graph.segments)} things{told}"
        lines = [f"  {graph.sentence(one)} ({one.score:.2f})" for one in graph.relations]
        return "\n".join([head, *(lines or ["  no relations"])])

    return each_picture(paths, work)


def _drawings(image: Image.Image, graph: SceneGraph) -> dict[str, Any]:
    from lisa.relations.drawing import draw_scene_graph
    from lisa.relations.plot import plot_graph

    return {
        ".png": partial(draw_scene_graph(image, graph).save, format="PNG"),
        "_graph.png": partial(plot_graph(graph).save, format="PNG"),
    }
