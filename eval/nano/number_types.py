"""What half precision does to answers about the fixed scenes: `python -m eval.nano.number_types`.

Every way of loading `lisa-nano` is asked the same questions, and its words and masks are held
against those of the model in float32 as transformers builds it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from tqdm import tqdm

from eval.metrics.iou import count_pixels, score
from eval.nano.pictures import Picture
from eval.nano.read_scenes import load_scenes
from eval.protocols.generate import Generate
from eval.questions import Question
from eval.results import Answer
from lisa.errors import LisaError

PLAIN: Mapping[str, Any] = {"dtype": "float32", "pack_weights": False}
WAYS: Mapping[str, Mapping[str, Any]] = {
    "float32, packed": {"dtype": "float32"},
    "float16": {"dtype": "float16"},
    "bfloat16": {"dtype": "bfloat16"},
    "segmenter in float16": {"dtype": "float32", "segmenter_dtype": "float16"},
    "segmenter in bfloat16": {"dtype": "float32", "segmenter_dtype": "bfloat16"},
    "all in bfloat16": {"dtype": "bfloat16", "pack_weights": False},
}
"""Arguments of `LisaPipeline.from_pretrained`. The last is how a GPU computes by default."""

LEAST_IOU = 0.98
_ANSWER_TOKENS = 32

Asked = tuple[Picture, Question]


@dataclass(frozen=True)
class Likeness:
    """How answers compare with those in float32.

    Attributes:
        questions: How many were asked.
        same_words: Answers with the same text.
        masks: How many were compared: those of answers that point at equally many things.
        mean_iou: Of those masks with the same in float32, in [0, 1].
        least_iou: The smallest of them.
        below: How many of them are below `LEAST_IOU`.
        giou: Of all answers with the right ones, in [0, 1].
    """

    questions: int
    same_words: int
    masks: int
    mean_iou: float
    least_iou: float
    below: int
    giou: float


def worded_questions(pictures: Sequence[Picture], most: int) -> list[Asked]:
    """Return up to `most` questions in words about each picture."""
    return [
        (picture, question)
        for picture in pictures
        for question in [one for one in picture.questions if one.text is not None][:most]
    ]


def answers(asked: Sequence[Asked], device: str, options: Mapping[str, Any]) -> list[Answer]:
    """Load the model in one way and ask it; a picture is encoded once for all its questions."""
    from lisa.pipeline import LisaPipeline

    pipeline = LisaPipeline.from_pretrained("lisa-nano", device=device, **options)
    said: list[Answer] = []
    shown, encoded = None, None
    for picture, question in tqdm(asked, "answers", disable=None, leave=False):
        if encoded is None or picture is not shown:
            shown, encoded = picture, pipeline.encode(picture.open())
        said += Generate().ask(
            pipeline, [encoded], [question], [0], max_new_tokens=_ANSWER_TOKENS, min_new_tokens=0
        )
    return said


def mask_ious(found: Answer, expected: Answer) -> list[float]:
    """Hold mask against mask; answers that point at more or fewer things have none to compare."""
    if len(found.segments) != len(expected.segments):
        return []
    pairs = zip(found.segments, expected.segments, strict=True)
    return [count_pixels(mine.mask, theirs.mask).iou for mine, theirs in pairs]


def compare(
    asked: Sequence[Asked], found: Sequence[Answer], expected: Sequence[Answer]
) -> Likeness:
    """Hold answers against those in float32, and against the truth."""
    pairs = list(zip(found, expected, strict=True))
    ious = [iou for one, other in pairs for iou in mask_ious(one, other)]
    right = [
        count_pixels(one.united(picture.size), picture.truth_of(question).mask)
        for one, (picture, question) in zip(found, asked, strict=True)
    ]
    return Likeness(
        questions=len(asked),
        same_words=sum(one.text == other.text for one, other in pairs),
        masks=len(ious),
        mean_iou=fmean(ious) if ious else 1.0,
        least_iou=min(ious, default=1.0),
        below=sum(iou < LEAST_IOU for iou in ious),
        giou=score(right).giou or 0.0,
    )


HEADER = (
    f"| how | same words | masks overlap by, on average | the least | below {LEAST_IOU} | "
    "gIoU with the truth |\n|---|---|---|---|---|---|"
)


def to_row(way: str, found: Likeness) -> str:
    """Write a comparison as a row under `HEADER`."""
    return (
        f"| {way} | {found.same_words} of {found.questions} | {found.mean_iou:.4f} | "
        f"{found.least_iou:.3f} | {found.below} of {found.masks} | {found.giou:.4f} |"
    )


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.nano.number_types",
        description="Compare lisa-nano's answers in half precision with those in float32.",
    )
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    parser.add_argument(
        "--limit", type=int, default=20, metavar="N", help="scenes (default: %(default)s)"
    )
    parser.add_argument(
        "--questions", type=int, default=4, metavar="N", help="about each (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 2 for a mistake that the message explains."""
    args = build_parser().parse_args(argv)
    try:
        asked = worded_questions(load_scenes()[: args.limit], args.questions)
        expected = answers(asked, args.device, PLAIN)
        found = {"float32": compare(asked, expected, expected)}
        if not args.json:
            print(HEADER, to_row("float32", found["float32"]), sep="\n", flush=True)
        for way, options in WAYS.items():
            found[way] = compare(asked, answers(asked, args.device, options), expected)
            if not args.json:  # A way takes minutes: each is told as soon as it is known.
                print(to_row(way, found[way]), flush=True)
    except LisaError as error:
        print(f"lisa: error: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps({way: asdict(one) for way, one in found.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
