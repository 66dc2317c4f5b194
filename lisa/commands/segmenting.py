"""What `lisa masks` and `lisa relate` share: a segmenter by name, and everything in a picture."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lisa.hub import NANO

if TYPE_CHECKING:
    from PIL import Image

    from lisa.models import EncodedImage
    from lisa.models.segmenters import PromptablePicture, Segmenter
    from lisa.pipeline import LisaPipeline
    from lisa.relations.automatic_masks import AutomaticMasks
    from lisa.types import Segment


@dataclass(frozen=True, eq=False)
class OpenSegmenter:
    """A segmenter that stands alone, or one that belongs to a model which answers questions.

    Attributes:
        segmenter: Either way.
        pipeline: Of the model, if there is one.
    """

    segmenter: Segmenter
    pipeline: LisaPipeline | None

    def encode(self, image: Image.Image, encoded: EncodedImage | None = None) -> PromptablePicture:
        """Encodes a picture for prompts.

        Args:
            image: The picture.
            encoded: What the pipeline made of it already, if it was asked about it.
        """
        from lisa.models.segmenters import PromptablePicture

        if self.pipeline is None:
            return PromptablePicture.encode(self.segmenter, image)
        return self.pipeline.model.promptable(encoded or self.pipeline.encode(image))


def add_segmenter_arguments(parser: argparse.ArgumentParser, option: str) -> None:
    """Adds the option that names the segmenter, and where it comes from and runs.

    Args:
        parser: Of the command.
        option: Its name, such as `--model`; the value becomes `args.segmenter`.
    """
    parser.add_argument(
        option,
        dest="segmenter",
        default=NANO,
        metavar="NAME",
        help="whose segmenter finds the masks: lisa-nano (the default), a hub id such as "
        "xinlai/LISA-7B-v1, a folder, or a SAM file such as sam_vit_h_4b8939.pth",
    )
    parser.add_argument("--revision", metavar="REV", help="branch, tag or commit of a hub id")
    parser.add_argument("--offline", action="store_true", help="use only what is on this machine")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16 or float16")
    parser.add_argument(
        "--seconds",
        type=_positive_seconds,
        metavar="N",
        help="look for masks no longer than this in each picture, and take what was found",
    )


def _positive_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above zero")
    return seconds


def open_segmenter(args: argparse.Namespace, *, asks: bool) -> OpenSegmenter:
    """Loads what `add_segmenter_arguments` names.

    Args:
        args: Of the command.
        asks: Whether the language model is asked, too, and should be fast.

    Raises:
        CheckpointError: Weights cannot be found, read, or do not fit.
        DeviceError: Device or number type do not exist here.
    """
    path = Path(args.segmenter).expanduser()
    if path.is_file() or path.suffix in (".pth", ".safetensors"):
        from lisa.devices import choose_placement
        from lisa.released.sam import load_sam

        return OpenSegmenter(load_sam(path, choose_placement(args.device, args.dtype)), None)
    from lisa.pipeline import LisaPipeline

    pipeline = LisaPipeline.from_pretrained(
        args.segmenter,
        device=args.device,
        dtype=args.dtype,
        revision=args.revision,
        offline=args.offline,
        for_one_answer=not asks,
    )
    return OpenSegmenter(pipeline.model.segmenter, pipeline)


def find_masks(picture: PromptablePicture, seconds: float | None) -> AutomaticMasks:
    """Finds everything in a picture, with a progress bar where a person can see it."""
    from tqdm import tqdm

    from lisa.relations.automatic_masks import automatic_masks

    hidden = not sys.stderr.isatty()
    with tqdm(unit="point", desc="masks", disable=hidden, leave=False, position=1) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return automatic_masks(picture, seconds=seconds, progress=show)


def describe_time(found: AutomaticMasks) -> str:
    """Says in brackets that time ran out, or nothing."""
    if found.is_complete:
        return ""
    return f" (time ran out after {found.asked} of {found.of} points)"


def describe_place(segment: Segment) -> str:
    """Says where a segment is and how sure it is, for a person."""
    height, width = segment.mask.shape
    share = 100 * segment.mask.sum() / (height * width)
    box = (
        "no pixels"
        if segment.box is None
        else "x {:.0f}-{:.0f}, y {:.0f}-{:.0f}".format(*(segment.box[i] for i in (0, 2, 1, 3)))
    )
    return f"{box}, {share:.1f} % of the picture, score {segment.score:.2f}"
