"""Scores relations between the objects of the fixed scenes: `python -m eval.nano.relations`.

The same model is asked twice: with the true masks, and with those that it finds by itself
(`lisa.relations.automatic_masks`). An automatic mask stands for the true object with which it has
an IoU above one half; the others stand for nothing. What is right follows from the scenes
(`lisa.data.scenes.relations`). Several predicates may hold for two objects (left of, and touching),
so every pair may have several of the first K predictions: there is no graph constraint.

Things inside others are rare in the fixed scenes. With `--stamps` further scenes are composed that
have one each, from seeds far from those of training.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from eval.metrics import Figure, Relation, SceneGraph, judge_scene_graph, scene_graph_figures
from eval.metrics.scene_graph import SceneGraphRecord
from eval.nano.read_scenes import load_scenes
from lisa.data.knowledge import load_knowledge
from lisa.data.scenes import PREDICATES, CutoutLibrary, compose_scene, scene_relations
from lisa.errors import LisaError
from lisa.masks import mask_to_box
from lisa.types import Segment

if TYPE_CHECKING:
    from PIL import Image

    from lisa.pipeline import LisaPipeline
    from lisa.relations import RelationPredictor

NESTED_SEED = 950_000_000
"""First seed of the further scenes."""

NESTED_SCENES = 100
TOP = 100
"""Predictions of a picture that are looked at; the scores need no more."""

READINGS = ("true masks", "automatic masks")
_SHOWN = ("R@20", "mR@20")
_IOU = 0.5

BoolMask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class KnownScene:
    """A picture whose objects are known.

    Attributes:
        key: Its name.
        image: RGB.
        masks: Visible pixels of each object, bool (H, W), back to front.
    """

    key: str
    image: Image.Image
    masks: tuple[BoolMask, ...]


@dataclass(frozen=True, eq=False)
class Scored:
    """What was found in one scene.

    Attributes:
        records: With the true masks, and with automatic ones.
        found: How many of the objects an automatic mask stands for.
        objects: How many there are.
    """

    records: tuple[SceneGraphRecord, SceneGraphRecord]
    found: int
    objects: int


def fixed_scenes() -> Iterator[KnownScene]:
    """Yields the scenes that lie in the repository."""
    for picture in load_scenes():
        masks = tuple(item.mask for item in picture.objects)
        yield KnownScene(picture.key, picture.open(), masks)


def nested_scenes(stamps: Path) -> Iterator[KnownScene]:
    """Composes scenes that have one thing inside another."""
    knowledge = load_knowledge()
    library = CutoutLibrary(stamps, {n: item.stamps for n, item in knowledge.objects.items()})
    seed, made = NESTED_SEED, 0
    while made < NESTED_SCENES:
        scene = compose_scene(library, seed, nested=True)
        masks = tuple(item.mask for item in scene.objects)
        if any(one.predicate == "inside" for one in scene_relations(masks)):
            made += 1
            yield KnownScene(str(seed), scene.image, masks)
        seed += 1


def score_scene(scene: KnownScene, pipeline: LisaPipeline, predictor: RelationPredictor) -> Scored:
    """Predicts the relations of a scene, with the true masks and with automatic ones."""
    from lisa.relations.automatic_masks import automatic_masks
    from lisa.relations.features import features_of_masks

    places: dict[str, int] = {name: place for place, name in enumerate(PREDICATES)}
    stacked = np.stack(scene.masks)
    truth = SceneGraph(
        stacked,
        range(len(stacked)),
        [Relation(s, o, places[p]) for s, p, o in scene_relations(scene.masks)],
    )
    picture = pipeline.model.promptable(pipeline.encode(scene.image))
    given = [Segment(m, mask_to_box(m), 1.0, "found", None, (0, 0)) for m in scene.masks]
    found = automatic_masks(picture)
    labels = _labels([one.mask for one in found.segments], scene.masks)
    asked = (
        (given, features_of_masks(picture, scene.masks), list(truth.labels)),
        (found.segments, found.features, labels),
    )
    records = []
    for segments, features, names in asked:
        graph = predictor(segments, features, top=TOP)
        masks = [one.mask for one in segments]
        relations = [Relation(r.subject, r.object, places[r.predicate]) for r in graph.relations]
        predicted = SceneGraph(np.stack(masks), names, relations) if masks else None
        records.append(judge_scene_graph(scene.key, truth, predicted))
    objects = len(stacked)
    return Scored((records[0], records[1]), len({n for n in labels if n < objects}), objects)


def _labels(masks: Sequence[BoolMask], true: Sequence[BoolMask]) -> list[int]:
    """Returns for each mask the object that it shows, or a number that no object has."""
    labels = []
    for place, mask in enumerate(masks):
        ious = [(mask & one).sum() / (mask | one).sum() for one in true]
        best = int(np.argmax(ious))
        labels.append(best if ious[best] > _IOU else len(true) + place)
    return labels


def report_of(scored: Sequence[Scored]) -> dict[str, Any]:
    """Sums up: for each sort of masks its figures, and the recall of each predicate."""
    report: dict[str, Any] = {
        "scenes": len(scored),
        "objects": sum(one.objects for one in scored),
        "objects found": sum(one.found for one in scored),
    }
    for place, name in enumerate(READINGS):
        records = [one.records[place] for one in scored]
        figures = scene_graph_figures(records, len(PREDICATES))
        report[name] = {one.name: _plain(one) for one in figures if "phrase" not in one.name}
        report[name]["predicates"] = _recalls(records)
    return report


def _plain(figure: Figure) -> dict[str, Any]:
    return {"value": figure.value, "low": figure.low, "high": figure.high, "n": figure.n}


def _recalls(records: Sequence[SceneGraphRecord]) -> dict[str, dict[str, Any]]:
    """Returns of each predicate how many relations there are, and the share in the first 20."""
    counts = np.zeros((len(PREDICATES), 2), int)
    for record in records:
        for predicate, rank in zip(record.predicates, record.ranks, strict=True):
            counts[predicate] += (1, rank is not None and rank < 20)
    return {
        name: {"relations": int(n), "found": float(hits / n) if n else None}
        for name, (n, hits) in zip(PREDICATES, counts, strict=True)
    }


def to_markdown(reports: dict[str, dict[str, Any]]) -> str:
    """Writes the reports as tables: figures, then the recall of each predicate."""
    lines = ["| scenes | masks | objects found | R@20 | mR@20 |", "|---" * 5 + "|"]
    for name, report in reports.items():
        share = report["objects found"] / max(1, report["objects"])
        for reading, found in zip(READINGS, (1.0, share), strict=True):
            cells = [_shown(report[reading][figure]) for figure in _SHOWN]
            lines.append(f"| {name} | {reading} | {found:.3f} | {' | '.join(cells)} |")
    lines += ["", f"| found in the first 20 | {' | '.join(PREDICATES)} |"]
    lines.append("|---" * (1 + len(PREDICATES)) + "|")
    for name, report in reports.items():
        for reading in READINGS:
            rows = report[reading]["predicates"].values()
            cells = ["–" if r["found"] is None else f"{r['found']:.3f}" for r in rows]
            lines.append(f"| {name}, {reading} | {' | '.join(cells)} |")
        numbers = [str(r["relations"]) for r in report[READINGS[0]]["predicates"].values()]
        lines.append(f"| {name}, relations | {' | '.join(numbers)} |")
    return "\n".join(lines)


def _shown(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return "–"
    if figure["low"] is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} ({figure['low']:.3f}-{figure['high']:.3f})"


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.nano.relations",
        description="Score relations between the objects of the fixed scenes.",
    )
    parser.add_argument("--model", default="lisa-nano", help="whose segmenter finds the masks")
    parser.add_argument(
        "--relations", default="lisa-nano", help="relation weights of that segmenter"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N scenes of each sort")
    parser.add_argument(
        "--stamps", type=Path, help="folder `stamps` of tuxpaint-stamps-default: nested scenes too"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, no tables")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns 0, or 2 for a mistake that the message explains."""
    args = build_parser().parse_args(argv)
    from lisa.pipeline import LisaPipeline
    from lisa.relations import RelationPredictor

    try:
        pipeline = LisaPipeline.from_pretrained(args.model, device=args.device)
        predictor = RelationPredictor.from_pretrained(args.relations, device=args.device)
        sources = {"fixed": fixed_scenes()}
        if args.stamps is not None:
            sources["nested"] = nested_scenes(args.stamps)
        reports = {}
        for name, scenes in sources.items():
            few = tqdm(islice(scenes, args.limit), name, unit="scene", disable=None)
            reports[name] = report_of([score_scene(one, pipeline, predictor) for one in few])
    except LisaError as error:
        print(f"lisa: error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(reports) if args.json else to_markdown(reports))
    return 0


if __name__ == "__main__":
    sys.exit(main())
