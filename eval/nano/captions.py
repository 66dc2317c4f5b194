"""Scores sentences about the fixed scenes: `python -m eval.nano.captions`.

Twice: with things and relations as they are, which shows how the language model words them, and
with those that the model finds by itself, which shows what a user gets. A sentence says a thing if
its name stands in it, and a relation if subject, one of the wordings that training has for it, and
object follow each other.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from eval.nano.pictures import Picture
from eval.nano.read_scenes import load_scenes
from lisa.data.captions import WORDINGS, CaptionRelation, caption_request, worth_saying
from lisa.data.knowledge import load_knowledge
from lisa.data.scenes import MIRRORS, ObjectRelation, scene_relations
from lisa.errors import LisaError

if TYPE_CHECKING:
    from lisa.pipeline import LisaPipeline
    from lisa.relations import RelationPredictor
    from lisa.tagging import Tagger

READINGS = ("from the truth", "from the picture")
_MOST_BETWEEN = 3
"""Words that may stand between a subject and its relation, such as "is" or "that is"."""


@dataclass(frozen=True)
class ScoredCaption:
    """A sentence and how good it is.

    Attributes:
        text: The sentence.
        is_sentence: Whether it is one: one full stop, at the end.
        things: Share of the things that it names.
        relations: Share of the relations in the question that it says; None for none.
        false: Relations that it says between true things and that do not hold.
    """

    text: str
    is_sentence: bool
    things: float
    relations: float | None
    false: int


def says(text: str, first: str, predicate: str, second: str) -> bool:
    """Whether a sentence says that one thing stands in a relation to another."""
    wordings = "|".join(map(re.escape, WORDINGS[predicate]))  # type: ignore[index]
    pattern = (
        rf"\b{re.escape(first)}(?: [\w']+){{0,{_MOST_BETWEEN}}}? (?:{wordings})"
        rf"(?: [\w']+){{0,{_MOST_BETWEEN}}}? {re.escape(second)}\b"
    )
    return re.search(pattern, text, re.IGNORECASE) is not None


def score_caption(
    text: str,
    labels: Sequence[str],
    asked: Sequence[CaptionRelation],
    true: Sequence[ObjectRelation],
) -> ScoredCaption:
    """Score a sentence about a scene.

    Args:
        text: The sentence.
        labels: Names of the scene's things.
        asked: The relations that it was to say; places among `labels`.
        true: All that hold.
    """
    named = [re.search(rf"\b{re.escape(one)}\b", text, re.IGNORECASE) for one in labels]
    said = [says(text, labels[r.subject], r.predicate, labels[r.object]) for r in asked]
    held = {tuple(one) for one in true}
    false = sum(
        says(text, first, predicate, second)
        for i, first in enumerate(labels)
        for j, second in enumerate(labels)
        for predicate in MIRRORS
        if i != j and (i, predicate, j) not in held
    )
    return ScoredCaption(
        text,
        re.fullmatch(r"[A-Z][^.!?]+\.", text) is not None,
        float(np.mean([one is not None for one in named])),
        float(np.mean(said)) if said else None,
        false,
    )


def caption_scene(
    picture: Picture, pipeline: LisaPipeline, predictor: RelationPredictor, tagger: Tagger
) -> tuple[ScoredCaption, ScoredCaption]:
    """Write the two sentences about a scene and score them."""
    from lisa.captions import caption_picture, object_names
    from lisa.captions.writer import MOST_SAID, write_sentence

    knowledge = load_knowledge()
    labels = [knowledge[item.name].label for item in picture.objects]
    true = scene_relations([item.mask for item in picture.objects])
    # In an order that says nothing about which was painted last.
    shuffled = random.Random(picture.key).sample(true, len(true))
    asked = worth_saying([CaptionRelation(*one) for one in shuffled], MOST_SAID)
    image = picture.open()
    text = write_sentence(pipeline, pipeline.encode(image), caption_request(labels, asked))
    found = caption_picture(pipeline, predictor, image, object_names(tagger, image))
    return (
        score_caption(text, labels, asked, true),
        score_caption(found.text, labels, (), true),
    )


def report_of(captions: Sequence[ScoredCaption]) -> dict[str, Any]:
    """Sum up: means over the sentences."""
    told = [one.relations for one in captions if one.relations is not None]
    return {
        "captions": len(captions),
        "one sentence": float(np.mean([one.is_sentence for one in captions])),
        "things named": float(np.mean([one.things for one in captions])),
        "relations said": float(np.mean(told)) if told else None,
        "with a false relation": float(np.mean([one.false > 0 for one in captions])),
    }


def to_markdown(reports: dict[str, dict[str, Any]]) -> str:
    """Write the reports as a table."""
    columns = list(next(iter(reports.values())))
    lines = [f"| captions | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for name, report in reports.items():
        cells = [
            "–" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}"
            for value in report.values()
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.nano.captions", description="Score sentences about the fixed scenes."
    )
    parser.add_argument("--model", default="lisa-nano", help="what finds things and words them")
    parser.add_argument("--relations", default="lisa-nano", help="relation weights of that model")
    parser.add_argument("--tagger", default="lisa-nano", help="what says which things are there")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument(
        "--limit", type=int, default=20, metavar="N", help="scenes (default: %(default)s)"
    )
    parser.add_argument("--show", action="store_true", help="print the sentences too")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 2 for a mistake that the message explains."""
    args = build_parser().parse_args(argv)
    from lisa.pipeline import LisaPipeline
    from lisa.relations import RelationPredictor
    from lisa.tagging import Tagger

    try:
        pipeline = LisaPipeline.from_pretrained(args.model, device=args.device)
        predictor = RelationPredictor.from_pretrained(args.relations, device=args.device)
        tagger = Tagger.from_pretrained(args.tagger, device=args.device)
        pictures = load_scenes()[: args.limit]
        pairs = [
            caption_scene(one, pipeline, predictor, tagger)
            for one in tqdm(pictures, "captions", disable=None)
        ]
    except LisaError as error:
        print(f"lisa: error: {error}", file=sys.stderr)
        return 2
    if args.show:
        print(*(f"{one.text}\n  {other.text}" for one, other in pairs), sep="\n")
    reports = {
        name: report_of([pair[place] for pair in pairs]) for place, name in enumerate(READINGS)
    }
    print(json.dumps(reports) if args.json else to_markdown(reports))
    return 0


if __name__ == "__main__":
    sys.exit(main())
