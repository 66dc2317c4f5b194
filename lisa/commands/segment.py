"""Asks a question about a picture; prints the answer and writes what it points at.

    lisa segment photo.jpg "Where would I sit down?" --out answer

Into --out go overlay.png (the picture with the masks drawn in), mask_0.png, mask_1.png ... (white
is foreground, at the size of the picture) and result.json (the answer and every field of its
segments, masks as COCO run lengths).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lisa import __version__
from lisa.commands.output_files import make_folder, write_whole
from lisa.errors import ConfigError
from lisa.garbage import without_collection
from lisa.printable import printable

if TYPE_CHECKING:
    from PIL import Image

    from lisa.types import Prediction, Segment

HELP = "answer a question about a picture with text and masks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lisa segment`."""
    parser.add_argument("image", metavar="IMAGE", help="path of a picture")
    parser.add_argument("question", metavar="QUESTION", help="what to ask, in quotes")
    parser.add_argument("--out", default="lisa_out", metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--max-new-tokens", type=_positive, default=None, metavar="N", help="longest answer"
    )
    parser.add_argument("--json", action="store_true", help="print result.json, not the answer")
    add_model_arguments(parser)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that every command which loads a model has."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default="lisa-nano",
        metavar="NAME",
        help="lisa-nano (the default), a hub id such as xinlai/LISA-7B-v1, or a folder",
    )
    group.add_argument("--revision", metavar="REV", help="branch, tag or commit of a hub id")
    group.add_argument("--offline", action="store_true", help="use only what is on this machine")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    group.add_argument("--dtype", default="auto", help="auto, float32, bfloat16 or float16")
    group.add_argument(
        "--segmenter-dtype", metavar="DTYPE", help="number type of the segmenter, if another"
    )
    group.add_argument("--template", metavar="NAME", help="conversation template")
    group.add_argument(
        "--vision-tower", metavar="PATH", help="folder of the CLIP tower of a released checkpoint"
    )
    group.add_argument(
        "--no-packed-weights",
        dest="pack_weights",
        action="store_false",
        help="use the language model as transformers builds it, which is slower on x86 CPUs",
    )
    bits = group.add_mutually_exclusive_group()
    bits.add_argument("--load-in-4bit", action="store_true", help="needs the extra 'quant'")
    bits.add_argument("--load-in-8bit", action="store_true", help="needs the extra 'quant'")


def model_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """Turns the arguments of `add_model_arguments` into those of `LisaPipeline.from_pretrained`."""
    quantize = "4bit" if args.load_in_4bit else "8bit" if args.load_in_8bit else None
    return {
        "device": args.device,
        "dtype": args.dtype,
        "segmenter_dtype": args.segmenter_dtype,
        "revision": args.revision,
        "offline": args.offline,
        "template": args.template,
        "vision_tower": args.vision_tower,
        "quantize": quantize,
        "pack_weights": args.pack_weights,
    }


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


@without_collection(for_good=True)  # one answer is over before there is anything to collect
def run(args: argparse.Namespace) -> int:
    """Opens the picture, loads the model, asks, and writes the answer."""
    # The cheap checks come first: a wrong path should not cost a minute of loading.
    from lisa.images import open_image

    if not args.question.strip():
        raise ConfigError('the question is empty: ask something, such as "Segment the cup".')
    image = open_image(args.image)
    folder = make_folder(args.out)

    from lisa.pipeline import LisaPipeline

    pipeline = LisaPipeline.from_pretrained(
        args.model, **model_arguments(args), for_one_answer=True
    )
    options = {} if args.max_new_tokens is None else {"max_new_tokens": args.max_new_tokens}
    prediction = pipeline(image, args.question, **options)
    result = describe(prediction, image, args)
    write_answer(folder, image, prediction, result)
    if args.json:
        print(json.dumps(result))
    else:
        print(printable(prediction.text))
        print(_summary(prediction, folder))
    return 0


def _summary(prediction: Prediction, folder: Path) -> str:
    count = len(prediction.segments)
    lines = [
        f"  segment {number}: {segment.status}, score {segment.score:.2f}"
        for number, segment in enumerate(prediction.segments)
    ]
    names = "overlay.png, result.json" + "".join(f", mask_{number}.png" for number in range(count))
    return "\n".join([*lines, f"Wrote {names} to {folder}{os.sep}"])


def describe(
    prediction: Prediction, image: Image.Image, args: argparse.Namespace
) -> dict[str, Any]:
    """Returns what result.json holds; sizes are `[height, width]`, boxes `xyxy` in pixels."""
    return {
        "question": args.question,
        "answer": prediction.text,
        "image": str(args.image),
        "image_size": [image.height, image.width],
        "model": args.model,
        "revision": args.revision,
        "segments": [_describe_segment(segment) for segment in prediction.segments],
        "versions": {
            "lisa": __version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in ("torch", "transformers")},
        },
    }


def _describe_segment(segment: Segment) -> dict[str, Any]:
    from lisa.masks import encode_rle

    return {
        "mask": encode_rle(segment.mask),
        "box": None if segment.box is None else [float(edge) for edge in segment.box],
        "score": float(segment.score),
        "status": segment.status,
        "phrase": segment.phrase,
        "text_span": list(segment.text_span),
        "image_index": segment.image_index,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def write_answer(
    folder: Path, image: Image.Image, prediction: Prediction, result: dict[str, Any]
) -> None:
    """Writes the files of an answer, each complete or not at all, and result.json last.

    Masks that an earlier answer left in the folder are removed: what lies there is one answer.
    """
    from PIL import Image as PillowImage

    from lisa.visualize import draw_segments

    shown = [segment for segment in prediction.segments if segment.image_index == 0]
    overlay = draw_segments(image, shown)
    try:
        for old in [folder / "result.json", *folder.glob("mask_*.png")]:
            old.unlink(missing_ok=True)
        for number, segment in enumerate(prediction.segments):
            mask = PillowImage.fromarray(segment.mask).convert("1")
            write_whole(folder / f"mask_{number}.png", partial(mask.save, format="PNG"))
        write_whole(folder / "overlay.png", partial(overlay.save, format="PNG"))
        text = json.dumps(result, indent=1)
        write_whole(folder / "result.json", lambda file: file.write(text.encode()))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise ConfigError(f"the answer cannot be written to {str(folder)!r}: {reason}.") from error
